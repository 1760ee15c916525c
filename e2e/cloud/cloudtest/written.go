package cloudtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Written is all that runs of a plugin have written: their answers, what they
// said, the log, and everything below /run.
func Written(t *testing.T, log string, answers ...Answer) map[string]string {
	t.Helper()
	all := map[string]string{}
	for i, a := range answers {
		all[fmt.Sprintf("stderr of run %d", i+1)] = a.Stderr
		all[fmt.Sprintf("stdout of run %d", i+1)] = a.Stdout
	}
	for _, root := range []string{log, "/run"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			all[path] = string(content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
