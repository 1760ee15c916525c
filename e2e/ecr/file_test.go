package ecr_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// configFile writes a configuration file of the plugin's.
func configFile(t *testing.T, settings string) string {
	t.Helper()
	return cloudtest.ConfigFile(t, "ECRCredentialProviderConfig", settings)
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
