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

// makeDir makes the folder for its owner alone.
func makeDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}

func trustDir(_ *os.Root, info fs.FileInfo) error { return trustFile(info) }

// trustFile accepts what belongs to this process's user and is closed to
// everybody else.
func trustFile(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("has no owner to check")
	case int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to user %d, not to %d", stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("is open to others: mode %#o", info.Mode().Perm())
	}
	return nil
}
