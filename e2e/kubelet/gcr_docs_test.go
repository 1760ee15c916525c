package kubelet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"regcred/e2e/cloud/gcp"
)

// A configuration that is copied from our documentation starts kubelet and
// gets the node's token, for a static pod.
func TestEveryConfigurationOfGCRInTheDocumentationWorks(t *testing.T) {
	pages := []string{"../../docs/gcr.md", "../../README.md"}
	found := 0
	for _, page := range pages {
		for i, config := range configurations(t, page, gcrPlugin) {
			found++
			t.Run(fmt.Sprintf("%s %d", filepath.Base(page), i+1), func(t *testing.T) {
				node := bootGCRNode(t)
				path := filepath.Join(t.TempDir(), "credential-providers.yaml")
				if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
					t.Fatal(err)
				}

				done := startKubelet(t, path).pull(gcrImages(1)...)

				node.wantAll(done.Answers, gcp.Account(gcrNodeAccount))
				node.wantCalls(askGCRNode)
			})
		}
	}
	if found == 0 {
		t.Error("the documentation shows no configuration")
	}
}
