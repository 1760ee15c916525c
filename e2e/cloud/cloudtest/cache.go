package cloudtest

import (
	"io/fs"
	"path/filepath"
	"testing"
)

// WantPrivateCache fails the test unless there is a cache with something in it,
// and it and every file in it are their owner's alone.
func WantPrivateCache(t *testing.T) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(CacheDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if path == CacheDir {
			want = fs.ModeDir | 0o700
		} else {
			files++
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %s, want %s", path, info.Mode(), want)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("%d files in the cache, %v", files, err)
	}
}
