package cloudtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"regcred/e2e/cloud"
)

// Written is all that runs of a plugin on a machine have written: their answers,
// what they said, the log if there is one, and everything below /run.
func Written(t *testing.T, c *cloud.Cloud, log string, answers ...Answer) map[string]string {
	t.Helper()
	all := map[string]string{}
	for i, a := range answers {
		all[fmt.Sprintf("stderr of run %d", i+1)] = a.Stderr
		all[fmt.Sprintf("stdout of run %d", i+1)] = a.Stdout
	}
	roots := []string{c.Path("/run")}
	if log != "" {
		roots = append(roots, log)
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && path == c.Path(cloud.OwnDir) {
				return fs.SkipDir // what the test has put there
			}
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
