//go:build !windows

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// staff is the group that writes /usr/local on systems that were first set up
// before Debian 10. Root runs what is there, so who is in it is as good as root.
const staff = 50

// trust refuses a file that somebody else could have written, or a directory in
// which somebody else could replace files.
func trust(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("no owner to check")
	}
	mode := info.Mode().Perm()
	group := stat.Gid == 0 || int(stat.Gid) == os.Getegid() || info.IsDir() && stat.Gid == staff
	switch {
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("owned by user %d; want root or the user who runs the plugin", stat.Uid)
	case mode&0o002 != 0 || mode&0o020 != 0 && !group:
		return fmt.Errorf("writable by others: mode %#o", mode)
	}
	return nil
}

// trustDirectories refuses a file, or a link to one, in a directory in which
// somebody else could replace it. One that is sticky, as /tmp is, has links that
// are others'.
func trustDirectories(path string) error {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return withoutName(err)
	}
	for _, name := range []string{path, resolved} {
		directory := filepath.Dir(name)
		info, err := os.Stat(directory)
		if err == nil {
			err = trust(info)
		}
		if err != nil {
			return fmt.Errorf("directory %s: %w", directory, withoutName(err))
		}
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
