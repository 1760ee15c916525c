package gcr_test

import (
	"os"
	"path/filepath"
	"testing"
)

// file writes a file of the operator's.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// configFile writes a configuration file of the plugin's.
func configFile(t *testing.T, settings string) string {
	t.Helper()
	return file(t, "apiVersion: regcred/v1\nkind: GCRCredentialProviderConfig\n"+settings)
}
