package cache

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatASignOfLifeIs(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer func() { _ = root.Close() }()
	path := filepath.Join(dir, "unfinished")
	sign := func(text string) func() {
		return func() { must(t, os.WriteFile(path, []byte(text), 0o600)) }
	}
	w := watch{root: root, file: "unfinished"}
	for i, step := range []struct {
		what      string
		do        func()
		unchanged int
		pid       int
	}{
		{"there is none", func() {}, 1, 0},
		{"there is none yet", func() {}, 2, 0},
		{"the first", sign(`{"pid":7,"beat":0}`), 1, 7},
		{"the same", func() {}, 2, 7},
		{"another", sign(`{"pid":7,"beat":1}`), 1, 7},
		{"half of one", sign(`{"pid":7,"be`), 1, 7},
		{"of another process", sign(`{"pid":8,"beat":0}`), 1, 8},
		{"that is removed", func() { must(t, os.Remove(path)) }, 2, 8},
		{"and stays away", func() {}, 3, 8},
		{"until it is back", sign(`{"pid":8,"beat":1}`), 1, 8},
	} {
		step.do()
		if w.look(); w.unchanged != step.unchanged || w.pid != step.pid {
			t.Errorf("step %d, %s: unchanged for %d looks by process %d, want %d and %d", i, step.what, w.unchanged, w.pid, step.unchanged, step.pid)
		}
	}
}
