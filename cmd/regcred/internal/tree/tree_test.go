//go:build !windows

package tree_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/cmd/regcred/internal/tree"
	"regcred/cmd/regcred/internal/tree/treetest"
)

func open(t *testing.T, files map[string]string) (*tree.Tree, string) {
	t.Helper()
	dir := t.TempDir()
	treetest.Write(t, dir, files)
	opened, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened, dir
}

func TestLinksLeadWhereTheyDoOnTheNode(t *testing.T) {
	tr, _ := open(t, map[string]string{
		"usr/lib/file":   "x",
		"lib":            "-> usr/lib",
		"var/lib/a":      "-> /lib",
		"out":            "-> ../../../../../../etc",
		"absolute":       "-> /../../etc/shadow",
		"circle":         "-> circle",
		"deep/one":       "-> two/../../lib/file",
		"deep/two/":      "",
		"dangling":       "-> /not/there",
		"through":        "-> usr/lib/file/below",
		"etc/passwd":     "the node's",
		"dir.with.file/": "",
	})
	for name, want := range map[string]string{
		"/lib/file":             "/usr/lib/file",
		"/var/lib/a/file":       "/usr/lib/file",
		"/out/passwd":           "/etc/passwd",
		"/absolute":             "/etc/shadow",
		"/deep/one":             "/usr/lib/file",
		"/dangling/more":        "/not/there/more",
		"/../../usr/./lib//new": "/usr/lib/new",
		"/":                     "/",
		"/none/../etc":          "/etc",
	} {
		if got, err := tr.Resolve(name); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", name, got, err, want)
		}
	}
	if got, err := tr.ResolveDir("/var/lib/a"); err != nil || got != "/var/lib/a" {
		t.Errorf("the last name was followed: %s, %v", got, err)
	}
	if got, err := tr.ResolveDir("/var/lib/a/"); err != nil || got != "/var/lib/a" {
		t.Errorf("the last name was followed: %s, %v", got, err)
	}
	for _, name := range []string{"/circle", "/circle/x", "relative", "", "/a\x00b"} {
		if got, err := tr.Resolve(name); err == nil {
			t.Errorf("%q: got %s", name, got)
		}
	}
	if text, err := tr.Read("/out/passwd", 100); err != nil || string(text) != "the node's" {
		t.Errorf("got %q, %v", text, err)
	}
}

// A link that is put in the place of a directory after it was resolved does
// not lead out either.
func TestNothingIsWrittenOutsideOfTheTree(t *testing.T) {
	tr, dir := open(t, map[string]string{"etc/": ""})
	outside := t.TempDir()
	if err := os.Remove(filepath.Join(dir, "etc")); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{outside, "../" + filepath.Base(outside)} {
		_ = os.Remove(filepath.Join(dir, "etc"))
		if err := os.Symlink(target, filepath.Join(dir, "etc")); err != nil {
			t.Fatal(err)
		}
		if err := tr.Create("/etc/file", strings.NewReader("x"), tree.State{Kind: tree.File, Mode: 0o644, UID: os.Geteuid(), GID: os.Getegid()}); err == nil {
			t.Errorf("written through %s", target)
		}
		if err := tr.Mkdir("/etc/dir", 0o755); err == nil {
			t.Errorf("made through %s", target)
		}
	}
	if names, _ := os.ReadDir(outside); len(names) > 0 {
		t.Errorf("outside there is %v", names)
	}
}

func TestCreateMakesWhatStateTells(t *testing.T) {
	tr, dir := open(t, map[string]string{"vendor": "#!text"})
	name := filepath.Join(dir, "vendor")
	if os.Geteuid() == 0 {
		if err := os.Chown(name, 12, 34); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(name, 0o750|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, time.Time{}, time.Unix(1e9, 123456789)); err != nil {
		t.Fatal(err)
	}
	treetest.SetAttribute(t, name, "label")
	before := treetest.Snapshot(t, dir)
	state, err := tr.State("/vendor")
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Create("/again", strings.NewReader("#!text"), state); err != nil {
		t.Fatal(err)
	}
	if err := tr.Rename("/again", "/vendor"); err != nil {
		t.Fatal(err)
	}
	if after := treetest.Snapshot(t, dir); after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
}

func TestCheckPath(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"as it should be":          {func(string) error { return nil }, ""},
		"a directory of a group":   {func(dir string) error { return os.Chmod(dir+"/a", 0o775) }, "/a: writable by others than its owner: mode 0775"},
		"a directory of everybody": {func(dir string) error { return os.Chmod(dir+"/a/b", 0o777|os.ModeSticky) }, "/a/b: writable by others than its owner: mode 01777"},
		"the root":                 {func(dir string) error { return os.Chmod(dir, 0o777) }, "/: writable by others than its owner: mode 0777"},
		"the file":                 {func(dir string) error { return os.Chmod(dir+"/a/b/c", 0o666) }, "/a/b/c: writable by others than its owner: mode 0666"},
		"somebody's directory":     {func(dir string) error { return os.Chown(dir+"/a", 4711, 0) }, "/a: owned by user 4711; want root"},
		"somebody's file":          {func(dir string) error { return os.Chown(dir+"/a/b/c", 4711, 0) }, "/a/b/c: owned by user 4711; want root"},
		"a directory with a link on the way": {func(dir string) error {
			return errors.Join(os.Rename(dir+"/a", dir+"/real"), os.Mkdir(dir+"/open", 0o755), os.Chmod(dir+"/open", 0o777),
				os.Symlink("/real", dir+"/open/link"), os.Symlink("open/link", dir+"/a"))
		}, "/open: writable by others than its owner: mode 0777"},
		"a link where nobody else may write": {func(dir string) error {
			return errors.Join(os.Rename(dir+"/a", dir+"/real"), os.Symlink("/real", dir+"/a"))
		}, ""},
		"what is not there is no worry": {func(dir string) error { return os.RemoveAll(dir + "/a/b") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tr, dir := open(t, map[string]string{"a/b/c": "x"})
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := tc.change(dir); errors.Is(err, syscall.EPERM) {
				t.Skip("only root gives files away")
			} else if err != nil {
				t.Fatal(err)
			}
			err := tr.CheckPath("/a/b/c")
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || err.Error() != tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestReadIsBounded(t *testing.T) {
	tr, dir := open(t, map[string]string{"file": "12345", "dir/": ""})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Read("/file", 4); err == nil || !strings.Contains(err.Error(), "larger than 4 bytes") {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"/pipe", "/dir"} {
		if _, err := tr.Read(name, 4); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, name := range []string{"/none", "/file/below"} {
		if _, err := tr.Read(name, 4); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v", name, err)
		}
		if state, err := tr.State(name); err != nil || state.Kind != tree.Absent {
			t.Errorf("%s: got %v, %v", name, state, err)
		}
	}
}
