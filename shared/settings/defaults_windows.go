package settings

import "path/filepath"

// defaultCacheDir is under ProgramData; the cache keeps the directory to the
// system, the administrators and its owner.
func defaultCacheDir(getenv func(string) string) string {
	data := getenv("ProgramData")
	if !filepath.IsAbs(data) {
		return ""
	}
	return filepath.Join(data, "regcred")
}
