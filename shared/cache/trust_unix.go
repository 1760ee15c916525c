//go:build !windows

package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// openFlags keep an open from waiting for the other end of a pipe.
const openFlags = syscall.O_NONBLOCK

// makeDir makes the directory for its owner alone.
func makeDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}

func trustDir(_ *os.Root, info fs.FileInfo) error { return trustOwner(info) }

// trustFile accepts a file that belongs to this process's user, is closed to
// everybody else and has no second name, by which others might know it.
func trustFile(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		return fmt.Errorf("%d hard links; want one", stat.Nlink)
	}
	return trustOwner(info)
}

func trustOwner(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("no owner to check")
	case int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("owned by user %d; want %d", stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("open to others: mode %#o", info.Mode().Perm())
	}
	return nil
}
