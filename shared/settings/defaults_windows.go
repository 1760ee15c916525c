package settings

import (
	"io/fs"
	"path/filepath"
)

// defaultCacheDir is under ProgramData; the cache keeps the folder to the
// system, the administrators and its owner.
func defaultCacheDir(getenv func(string) string) string {
	data := getenv("ProgramData")
	if !filepath.IsAbs(data) {
		return ""
	}
	return filepath.Join(data, "regcred", "cache")
}

// writableByOthers is false: permission bits say nothing on Windows.
func writableByOthers(fs.FileInfo) bool { return false }
