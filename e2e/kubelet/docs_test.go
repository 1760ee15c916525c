package kubelet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A configuration that is copied from our documentation starts kubelet and
// gets a credential.
func TestEveryConfigurationInTheDocumentationWorks(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, "../../README.md") {
		for i, config := range configurations(t, page, pluginName) {
			found++
			t.Run(fmt.Sprintf("%s %d", filepath.Base(page), i+1), func(t *testing.T) {
				node := bootNode(t)
				path := filepath.Join(t.TempDir(), "credential-providers.yaml")
				if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
					t.Fatal(err)
				}

				done := startKubelet(t, path).pull(registry + "/team/app:v1")

				node.wantAll(done.Answers, nodeRole)
				node.wantCalls(askNode)
			})
		}
	}
	if found == 0 {
		t.Error("the documentation shows no configuration")
	}
}

// configurations are the blocks of a page that configure kubelet's use of a
// plugin.
func configurations(t *testing.T, page, plugin string) []string {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, rest := range strings.Split(string(content), "\n```yaml\n")[1:] {
		block, _, _ := strings.Cut(rest, "\n```\n")
		if strings.Contains(block, "kind: CredentialProviderConfig\n") && strings.Contains(block, "name: "+plugin+"\n") {
			blocks = append(blocks, block+"\n")
		}
	}
	return blocks
}
