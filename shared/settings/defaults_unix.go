//go:build !windows

package settings

import (
	"os"
	"path/filepath"
)

// defaultCacheDir is in memory and gone at boot: root's in /run, anybody
// else's in their runtime directory. Without one there is no cache.
func defaultCacheDir(getenv func(string) string) string {
	if os.Geteuid() == 0 {
		return "/run/regcred"
	}
	if runtime := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		return filepath.Join(runtime, "regcred")
	}
	return ""
}
