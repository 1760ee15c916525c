//go:build !windows

package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// defaultCacheDir is in memory and gone at boot: root's in /run, anybody
// else's in their runtime folder. Without one there is no cache.
func defaultCacheDir(getenv func(string) string) string {
	if os.Geteuid() == 0 {
		return "/run/regcred"
	}
	if runtime := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		return filepath.Join(runtime, "regcred")
	}
	return ""
}

// trust refuses a file that somebody else could have written: its aliases
// decide who gets a token.
func trust(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case !ok:
		return errors.New("has no owner to check")
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to user %d; want root or the user who runs the plugin", stat.Uid)
	case mode&0o002 != 0 || mode&0o020 != 0 && stat.Gid != 0 && int(stat.Gid) != os.Getegid():
		return fmt.Errorf("can be written by others: mode %#o", mode)
	}
	return nil
}
