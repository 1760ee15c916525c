package kubelet_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// An entry that is damaged, or that somebody else may have written, is asked
// for again and replaced.
func TestADamagedEntryIsAskedForAgainAndReplaced(t *testing.T) {
	tests := []struct {
		name string
		// damage does it to a good entry. What a link is to lead to goes
		// elsewhere.
		damage func(t *testing.T, entry, elsewhere string) error
	}{
		{name: "garbage", damage: func(_ *testing.T, entry, _ string) error {
			return os.WriteFile(entry, []byte("\x00\xff\x13garbage"), 0o600)
		}},
		{name: "nothing", damage: func(_ *testing.T, entry, _ string) error {
			return os.Truncate(entry, 0)
		}},
		{name: "half of it", damage: func(_ *testing.T, entry, _ string) error {
			info, err := os.Stat(entry)
			if err != nil {
				return err
			}
			return os.Truncate(entry, info.Size()/2)
		}},
		{name: "an object of another kind", damage: func(_ *testing.T, entry, _ string) error {
			return os.WriteFile(entry, []byte(`{"auths":{}}`), 0o600)
		}},
		{name: "brackets without end", damage: func(_ *testing.T, entry, _ string) error {
			return os.WriteFile(entry, bytes.Repeat([]byte("["), 200<<10), 0o600)
		}},
		{name: "100 MB", damage: func(_ *testing.T, entry, _ string) error {
			return os.Truncate(entry, 100<<20)
		}},
		{name: "everybody's to write", damage: func(_ *testing.T, entry, _ string) error {
			return os.Chmod(entry, 0o666)
		}},
		{name: "another user's", damage: func(t *testing.T, entry, _ string) error {
			return changeOwner(t, entry)
		}},
		{name: "a link to a good one", damage: func(t *testing.T, entry, elsewhere string) error {
			if err := os.WriteFile(filepath.Join(elsewhere, "entry"), readFile(t, entry), 0o600); err != nil {
				return err
			}
			if err := os.Remove(entry); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(elsewhere, "entry"), entry)
		}},
		{name: "a pipe", damage: func(_ *testing.T, entry, _ string) error {
			if err := os.Remove(entry); err != nil {
				return err
			}
			return syscall.Mkfifo(entry, 0o600)
		}},
		{name: "a directory", damage: func(_ *testing.T, entry, _ string) error {
			if err := os.Remove(entry); err != nil {
				return err
			}
			return os.MkdirAll(filepath.Join(entry, "full"), 0o700)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootAWS(t)
			node.wantAll(startKubelet(t, node.nodeSample()).pull(node.images(1)...).Answers, node.Machine.Owner)
			node.wantCalls(asked(node.Machine))
			if err := test.damage(t, onlyEntry(t), t.TempDir()); err != nil {
				t.Fatal(err)
			}

			second := startKubelet(t, node.nodeSample()).pull(node.images(1)...)
			node.wantAll(second.Answers, node.Machine.Owner)
			wantPrompt(t, second)
			node.wantCalls(asked(node.Machine))

			third := startKubelet(t, node.nodeSample()).pull(node.images(1)...)
			node.wantAll(third.Answers, node.Machine.Owner)
			wantPrompt(t, third)
			node.wantCalls(calls{})
		})
	}
}

// onlyEntry is the one entry in the cache's directory.
func onlyEntry(t *testing.T) string {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(cloudtest.CacheDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Fatalf("the cache holds %d entries, want 1", len(entries))
	}
	return entries[0]
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
