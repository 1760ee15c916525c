package cloudtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"regcred/e2e/cloud"
)

// This file is all that the suites know of what is in a cache.

// AgeCache makes everything in a machine's cache so much older than it is.
func AgeCache(t *testing.T, c *cloud.Cloud, by time.Duration) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.Path(CacheDir), "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d entries in the cache, %v", len(paths), err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Entry json.RawMessage `json:"entry"`
		}
		if err := json.Unmarshal(content, &file); err != nil {
			t.Fatal(err)
		}
		var entry map[string]any
		decoder := json.NewDecoder(bytes.NewReader(file.Entry))
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
		// The file has a checksum of the entry, and the time of its end.
		content = fmt.Appendf(nil, "{\"sha256\":\"%x\",\"entry\":%s}\n", sha256.Sum256(content), content)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, info.ModTime().Add(-by)); err != nil {
			t.Fatal(err)
		}
	}
}

// wantPassing fails the test unless a failure is in a machine's cache and none
// there is recorded as permanent.
func wantPassing(t *testing.T, c *cloud.Cloud) {
	t.Helper()
	failures := 0
	for _, path := range entries(t, c) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Entry struct {
				Failed *struct {
					Problem   string `json:"problem"`
					Permanent bool   `json:"permanent"`
				} `json:"failed"`
			} `json:"entry"`
		}
		if err := json.Unmarshal(content, &file); err != nil {
			t.Fatal(err)
		}
		if failed := file.Entry.Failed; failed != nil {
			failures++
			if failed.Permanent {
				t.Errorf("%q is recorded as permanent", failed.Problem)
			}
		}
	}
	if failures == 0 {
		t.Error("no failure is recorded")
	}
}

// WantPrivateCache fails the test unless a machine has a cache with something in
// it, and it and every file in it are their owner's alone.
func WantPrivateCache(t *testing.T, c *cloud.Cloud) {
	t.Helper()
	dir, files := c.Path(CacheDir), 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if path == dir {
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

// WantNoCache fails the test if a machine has a cache.
func WantNoCache(t *testing.T, c *cloud.Cloud) {
	t.Helper()
	if _, err := os.Stat(c.Path(CacheDir)); !os.IsNotExist(err) {
		t.Errorf("%s: %v, want it not to exist", CacheDir, err)
	}
}

// Purge removes all that the plugins of a machine have kept.
func Purge(t *testing.T, c *cloud.Cloud) {
	t.Helper()
	if err := os.RemoveAll(c.Path(CacheDir)); err != nil {
		t.Fatal(err)
	}
}

// entries are the paths of what is kept in a machine's cache.
func entries(t *testing.T, c *cloud.Cloud) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(c.Path(CacheDir), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "lock" {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
