package cloudtest

import (
	"os"
	"path/filepath"
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

// ConfigFile writes a plugin's configuration file of a kind.
func ConfigFile(t *testing.T, kind, settings string) string {
	t.Helper()
	return File(t, "apiVersion: regcred/v1\nkind: "+kind+"\n"+settings)
}
