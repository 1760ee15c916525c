package cloudtest

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// AgeCache makes everything in the cache so much older than it is.
func AgeCache(t *testing.T, by time.Duration) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(CacheDir, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d entries in the cache, %v", len(paths), err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var entry map[string]any
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.UseNumber()
		if err := decoder.Decode(&entry); err != nil {
			t.Fatal(err)
		}
		held, ok := entry["held"].(map[string]any)
		if !ok {
			continue // a failure
		}
		at := held["at"].(map[string]any)
		wall, err := time.Parse(time.RFC3339Nano, at["wall"].(string))
		if err != nil {
			t.Fatal(err)
		}
		at["wall"] = wall.Add(-by)
		if boot, ok := at["boot"].(json.Number); ok {
			since, err := boot.Int64()
			if err != nil {
				t.Fatal(err)
			}
			at["boot"] = max(1, since-int64(by))
		}
		if content, err = json.Marshal(entry); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

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
