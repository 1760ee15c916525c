//go:build !windows

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openFlags keep an open from waiting for the other end of a pipe, and a
// terminal from becoming this process's own.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

// irregular reports whether an open failed because of the kind of the file: a
// socket cannot be opened, nor a device without a driver.
func irregular(err error) bool {
	return errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.ENODEV)
}

// trust refuses a file that somebody else could have written.
func trust(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok:
		return errors.New("no owner to check")
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("owned by user %d; want root or the user who runs the plugin", stat.Uid)
	case mode&0o002 != 0 || mode&0o020 != 0 && stat.Gid != 0 && int(stat.Gid) != os.Getegid():
		return fmt.Errorf("writable by others: mode %#o", mode)
	}
	return nil
}

// syncDirectory makes a change of a directory's names last.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return withoutName(err)
	}
	defer func() { _ = directory.Close() }()
	return withoutName(directory.Sync())
}
