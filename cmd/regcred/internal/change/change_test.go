//go:build !windows

package change

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/cmd/regcred/internal/tree"
	"regcred/cmd/regcred/internal/tree/treetest"
)

var errRefused = errors.New("refused")

const stateDir = "/var/lib/tool"

// node makes a node, and changes of every kind for it.
func node(t *testing.T) (dir string) {
	dir = treetest.Dir(t)
	treetest.Write(t, dir, map[string]string{
		"bin/vendor":  "#!the vendor's",
		"bin/link":    "-> vendor",
		"etc/config":  "old",
		"etc/useless": "going",
		"etc/foreign": "not touched",
		"var/lib/":    "",
	})
	if err := os.Chmod(filepath.Join(dir, "bin/vendor"), 0o4711); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(dir, "etc/config"), 1234, 56); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"bin/vendor", "etc/config", "etc/useless", "etc/foreign"} {
		if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Date(2020, 1, 2, 3, 4, i, 678901234, time.UTC)); err != nil {
			t.Fatal(err)
		}
	}
	treetest.SetAttribute(t, filepath.Join(dir, "bin/vendor"), "label")
	return dir
}

func open(t *testing.T, dir string) *tree.Tree {
	t.Helper()
	opened, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

func state(t *testing.T, tr *tree.Tree, name string) tree.State {
	t.Helper()
	s, err := tr.State(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func changes(t *testing.T, tr *tree.Tree) []Change {
	t.Helper()
	file := func(mode uint32) tree.State {
		return tree.State{Kind: tree.File, Mode: mode, UID: os.Geteuid(), GID: os.Getegid(), ModTime: time.Unix(1e9, 0)}
	}
	text := func(path, content, keep string, mode uint32) Change {
		return Change{Path: path, Before: state(t, tr, path), After: withHash(file(mode), content), Content: Bytes([]byte(content)), Keep: keep}
	}
	directory := tree.State{Kind: tree.Directory, Mode: 0o755, UID: os.Geteuid(), GID: os.Getegid()}
	return []Change{
		{Path: stateDir + "/backup", Before: tree.State{Kind: tree.Absent}, After: directory},
		{Path: "/opt", Before: tree.State{Kind: tree.Absent}, After: directory},
		{Path: "/opt/new", Before: tree.State{Kind: tree.Absent}, After: directory},
		text("/opt/new/file", "ours", "", 0o755),
		text("/bin/vendor", "ours too", stateDir+"/backup/vendor", 0o755),
		text("/bin/link", "a file in the place of a link", "", 0o755),
		text("/etc/config", "new", stateDir+"/backup/config", 0o640),
		{Path: "/etc/useless", Before: state(t, tr, "/etc/useless"), After: tree.State{Kind: tree.Absent}},
		{Path: "/etc/linked", Before: tree.State{Kind: tree.Absent}, After: tree.State{Kind: tree.Link, Target: "config", UID: os.Geteuid(), GID: os.Getegid()}},
		text(stateDir+"/record", "done", "", 0o600),
	}
}

func withHash(s tree.State, content string) tree.State {
	s.SHA256 = hash(content)
	return s
}

func apply(t *testing.T, tr *tree.Tree, confirm func() error) (err error) {
	t.Helper()
	set := Set{Verb: "test", Changes: changes(t, tr)}
	store, err := Lock(t.Context(), tr, stateDir, nil)
	if err != nil {
		return err
	}
	err = store.Apply(set, time.Now(), confirm)
	store.Unlock()
	return err
}

// recover ends what was stopped, as the next run does.
func recoverAll(t *testing.T, dir string) *Interrupted {
	t.Helper()
	store, err := Lock(t.Context(), open(t, dir), stateDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Unlock()
	found, err := store.Recover()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestApplyMakesEveryChange(t *testing.T) {
	dir := node(t)
	if err := apply(t, open(t, dir), nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"opt/new/file": "ours", "bin/vendor": "ours too", "bin/link": "a file in the place of a link",
		"etc/config": "new", "etc/linked": "new", "etc/foreign": "not touched",
		"var/lib/tool/backup/vendor": "#!the vendor's", "var/lib/tool/backup/config": "old",
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "etc/useless")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the useless file: %v", err)
	}
	if left := leftovers(t, dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// total is how many changes an application makes.
func total(t *testing.T) int {
	t.Helper()
	tr := open(t, node(t))
	count := treetest.Count(tr)
	if err := apply(t, tr, nil); err != nil {
		t.Fatal(err)
	}
	return *count
}

func TestStoppedAnywhereItIsAllOrNothing(t *testing.T) {
	before := treetest.Snapshot(t, node(t))
	total := total(t)
	outcomes := map[string]int{}
	for n := range total {
		dir := node(t)
		tr := open(t, dir)
		treetest.Stop(tr, n)
		err := apply(t, tr, nil)
		if err == nil && n < total-2 { // the last ones are Unlock's
			t.Errorf("stopped after %d of %d changes, and no error", n, total)
		}
		found := recoverAll(t, dir)
		after := treetest.Snapshot(t, dir)
		switch {
		case after == before:
			outcomes["nothing"]++
		case strings.Contains(after, stateDir+"/record"):
			outcomes["all"]++
			checkAll(t, dir)
			if found != nil && found.Undone {
				t.Errorf("stopped after %d: all is there, and it says that it is undone", n)
			}
		default:
			t.Errorf("stopped after %d of %d changes, recovered:\n%s\nwant\n%s", n, total, after, before)
		}
		if left := leftovers(t, dir); left != "" {
			t.Errorf("stopped after %d, left behind: %s", n, left)
		}
	}
	if outcomes["nothing"] == 0 || outcomes["all"] == 0 {
		t.Errorf("outcomes %v; want both", outcomes)
	}
}

// A run that ends what was stopped may be stopped too.
func TestRecoveryStoppedAnywhereIsRecovered(t *testing.T) {
	before := treetest.Snapshot(t, node(t))
	total := total(t)
	for _, stoppedAt := range []int{total / 3, total * 2 / 3, total - 8} {
		for n := 0; ; n++ {
			dir := node(t)
			tr := open(t, dir)
			treetest.Stop(tr, stoppedAt)
			if err := apply(t, tr, nil); err == nil {
				t.Fatalf("not stopped after %d", stoppedAt)
			}
			again := open(t, dir)
			treetest.Stop(again, n)
			err := func() error {
				store, err := Lock(t.Context(), again, stateDir, nil)
				if err != nil {
					return err
				}
				_, err = store.Recover()
				store.Unlock()
				return err
			}()
			recoverAll(t, dir)
			after := treetest.Snapshot(t, dir)
			if after != before && !strings.Contains(after, stateDir+"/record") {
				t.Fatalf("stopped after %d, and again after %d:\n%s\nwant\n%s", stoppedAt, n, after, before)
			}
			if err == nil {
				if n == 0 {
					t.Errorf("stopped after %d, there was nothing to recover", stoppedAt)
				}
				break
			}
		}
	}
}

func TestWhatFailsIsUndone(t *testing.T) {
	before := treetest.Snapshot(t, node(t))
	for n := range 1000 {
		dir := node(t)
		tr := open(t, dir)
		treetest.Fail(tr, n, errRefused)
		err := apply(t, tr, nil)
		if err == nil {
			if n < 40 {
				t.Errorf("no error although change %d failed", n)
			}
			return
		}
		if !errors.Is(err, errRefused) {
			t.Fatalf("change %d failed: got %v", n, err)
		}
		if found := recoverAll(t, dir); found == nil || found.Undone {
			if got := treetest.Snapshot(t, dir); got != before {
				t.Errorf("change %d failed:\n%s\nwant\n%s", n, got, before)
			}
		}
	}
}

func TestFullDiskIsUndoneWithoutSpace(t *testing.T) {
	before := treetest.Snapshot(t, node(t))
	for n := range 1000 {
		dir := node(t)
		tr := open(t, dir)
		treetest.Fill(tr, n)
		err := apply(t, tr, nil)
		if err == nil {
			if n < 10 {
				t.Errorf("no error with space for %d", n)
			}
			return
		}
		if _, stuck := errors.AsType[*StuckError](err); stuck || !strings.Contains(err.Error(), "no space left") {
			t.Fatalf("space for %d: got %v", n, err)
		}
		if got := treetest.Snapshot(t, dir); got != before {
			t.Errorf("space for %d: %v:\n%s\nwant\n%s", n, err, got, before)
		}
	}
}

func TestWhatIsNotConfirmedIsUndone(t *testing.T) {
	dir := node(t)
	before := treetest.Snapshot(t, dir)
	err := apply(t, open(t, dir), func() error {
		if got, _ := os.ReadFile(filepath.Join(dir, "etc/config")); string(got) != "new" {
			t.Errorf("asked with %q in place", got)
		}
		return errRefused
	})
	if _, undone := errors.AsType[*UndoneError](err); !undone || !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
	if got := treetest.Snapshot(t, dir); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

// The cloud's agent wrote the file between the stop and the next run: its word
// is newer.
func TestRecoveryKeepsWhatSomebodyElseWroteMeanwhile(t *testing.T) {
	dir := node(t)
	err := apply(t, open(t, dir), func() error {
		if err := os.WriteFile(filepath.Join(dir, "etc/config"), []byte("the agent's"), 0o644); err != nil {
			t.Fatal(err)
		}
		return errRefused
	})
	if !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "etc/config")); string(got) != "the agent's" {
		t.Errorf("got %q", got)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "bin/vendor")); string(got) != "#!the vendor's" {
		t.Errorf("got %q", got)
	}
	if left := leftovers(t, dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestApplyRefusesWhatChangedSinceItWasPlanned(t *testing.T) {
	dir := node(t)
	tr := open(t, dir)
	set := Set{Changes: changes(t, tr)}
	if err := os.WriteFile(filepath.Join(dir, "etc/config"), []byte("the agent's"), 0o644); err != nil {
		t.Fatal(err)
	}
	before := treetest.Snapshot(t, dir)
	store, err := Lock(t.Context(), tr, stateDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Apply(set, time.Now(), nil)
	store.Unlock()
	if err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("got %v", err)
	}
	if got := treetest.Snapshot(t, dir); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

func TestContentThatChangesWhileItIsReadIsRefused(t *testing.T) {
	dir := node(t)
	before := treetest.Snapshot(t, dir)
	tr := open(t, dir)
	set := Set{Changes: changes(t, tr)}
	set.Changes[4].Content = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("another")), nil }
	store, err := Lock(t.Context(), tr, stateDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Apply(set, time.Now(), nil)
	store.Unlock()
	if err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("got %v", err)
	}
	if got := treetest.Snapshot(t, dir); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

func TestOneRunAtATime(t *testing.T) {
	dir := node(t)
	first, err := Lock(t.Context(), open(t, dir), stateDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	waited := 0
	if _, err := Lock(ctx, open(t, dir), stateDir, func() { waited++ }); !errors.Is(err, context.DeadlineExceeded) || waited != 1 {
		t.Errorf("got %v after %d words", err, waited)
	}
	locked := make(chan error, 1)
	go func() {
		second, err := Lock(context.Background(), open(t, dir), stateDir, nil)
		if err == nil {
			err = second.Apply(Set{}, time.Now(), nil)
			second.Unlock()
		}
		locked <- err
	}()
	time.Sleep(120 * time.Millisecond)
	first.Unlock() // it removes the directory, which the second run has open
	if err := <-locked; err != nil {
		t.Errorf("the second run: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, stateDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

func TestAJournalOfAnotherReleaseIsLeftAlone(t *testing.T) {
	dir := node(t)
	treetest.Write(t, dir, map[string]string{"var/lib/tool/journal.json": `{"version":2}`})
	store, err := Lock(t.Context(), open(t, dir), stateDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Unlock()
	if _, err := store.Recover(); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("got %v", err)
	}
}

func TestLockRefusesADirectoryOfOthers(t *testing.T) {
	dir := node(t)
	if err := os.Chmod(filepath.Join(dir, "var"), 0o775); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(t.Context(), open(t, dir), stateDir, nil); err == nil || !strings.Contains(err.Error(), "/var: writable by others") {
		t.Errorf("got %v", err)
	}
}

// checkAll fails the test unless every change was made.
func checkAll(t *testing.T, dir string) {
	t.Helper()
	for name, want := range map[string]string{"opt/new/file": "ours", "bin/vendor": "ours too", "etc/config": "new", "var/lib/tool/record": "done"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// leftovers are files that should not outlive a run.
func leftovers(t *testing.T, dir string) string {
	t.Helper()
	var found []string
	for line := range strings.Lines(treetest.Snapshot(t, dir)) {
		if strings.Contains(line, ".regcred-") || strings.Contains(line, "journal.json") || strings.Contains(line, "committed.json") {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
