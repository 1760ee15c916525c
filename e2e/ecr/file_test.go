package ecr_test

import (
	"io/fs"
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
	return file(t, "apiVersion: regcred/v1\nkind: ECRCredentialProviderConfig\n"+settings)
}

// files is everything below a folder, by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			all[path] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
