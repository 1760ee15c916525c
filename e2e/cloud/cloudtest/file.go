package cloudtest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// File writes a file of the operator's, which lasts as long as the test.
func File(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Program writes a program of a test's. No other is started meanwhile: until it
// is itself, it has open what this one writes, and the kernel runs no file that
// somebody could still write to.
func Program(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, content, 0o600)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// ConfigFile writes a plugin's configuration file of a kind.
func ConfigFile(t *testing.T, kind, settings string) string {
	t.Helper()
	return File(t, "apiVersion: regcred/v1\nkind: "+kind+"\n"+settings)
}
