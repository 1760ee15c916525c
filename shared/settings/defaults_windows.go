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
	return filepath.Join(data, "regcred")
}

// trust accepts every file: permission bits say nothing on Windows.
func trust(fs.FileInfo) error { return nil }
