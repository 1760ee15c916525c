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

// trust refuses a file that somebody else could have written, or a directory in
// which somebody else could replace files. In one that is sticky, as /tmp is, they
// can replace their own alone.
func trust(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0
	switch {
	case !ok:
		return errors.New("no owner to check")
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("owned by user %d; want root or the user who runs the plugin", stat.Uid)
	case sticky:
	case mode&0o002 != 0 || mode&0o020 != 0 && stat.Gid != 0 && int(stat.Gid) != os.Getegid():
		return fmt.Errorf("writable by others: mode %#o", mode)
	}
	return nil
}

// trustDirectories refuses a file, or a link to one, in a directory in which
// somebody else could replace it.
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
