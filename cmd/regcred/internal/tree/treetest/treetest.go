//go:build !windows

// Package treetest compares trees of files, and stops what changes them.
package treetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"regcred/cmd/regcred/internal/tree"
)

// Dir is a directory that goes with the test, in memory if there is any: what
// brings everything to the disk takes its time there.
func Dir(t *testing.T) string {
	t.Helper()
	const memory = "/dev/shm"
	dir, err := os.MkdirTemp(memory, "regcred-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as the root of a node
		t.Fatal(err)
	}
	return dir
}

// Snapshot is all files of a directory with everything that there is to a
// file, one a line. Of directories the times are left out: they change with
// the names in them.
func Snapshot(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %s", strings.TrimPrefix(name, dir), info.Mode())
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			line += fmt.Sprintf(" %d:%d", stat.Uid, stat.Gid)
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			line += " -> " + target
		case info.Mode().IsRegular():
			text, err := os.ReadFile(name) //nolint:gosec // a directory of the test's own
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %s %x", info.ModTime().UTC().Format("15:04:05.000000000"), sha256.Sum256(text))
			if value := attribute(name); value != "" {
				line += " user.test=" + value
			}
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Write makes files below a directory. A name that ends in a slash is a
// directory, and a text that begins with "-> " a link.
func Write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch target, link := strings.CutPrefix(text, "-> "); {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(full, 0o755)
		case link:
			err = os.Symlink(target, full)
		case strings.HasPrefix(text, "#!") || strings.HasPrefix(text, "\x7fELF"):
			err = os.WriteFile(full, []byte(text), 0o755) //nolint:gosec // a program
		default:
			err = os.WriteFile(full, []byte(text), 0o644) //nolint:gosec // as on a node
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// ErrStopped is what a stopped tree's changes fail with.
var ErrStopped = errors.New("stopped by the test")

// Stop lets so many changes of a tree be made. Then it is as if the process
// had been killed: none is made any more.
func Stop(t *tree.Tree, after int) {
	made := 0
	t.Before(func(string, string) error {
		if made == after {
			return ErrStopped
		}
		made++
		return nil
	})
}

// Fail lets one change of a tree fail, that with the number, from 0, and those
// of the same kind after it if there is more to come of it, as on a full disk.
func Fail(t *tree.Tree, number int, err error) {
	made := 0
	t.Before(func(string, string) error {
		defer func() { made++ }()
		if made == number {
			return err
		}
		return nil
	})
}

// Count counts a tree's changes.
func Count(t *tree.Tree) *int {
	count := 0
	t.Before(func(string, string) error { count++; return nil })
	return &count
}

// Fill is a disk that is full after so many changes that take space. The others
// go on.
func Fill(t *tree.Tree, after int) {
	taken := 0
	t.Before(func(op, _ string) error {
		switch op {
		case "create", "write", "make directory", "link", "make link":
			if taken++; taken > after {
				return syscall.ENOSPC
			}
		}
		return nil
	})
}
