package kubelet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/e2e/cloud/clouds"
)

// A configuration that is copied from our documentation starts kubelet. For a
// static pod it gets the node's credential, or, where every pod has to have a
// token, nothing but a line that says so.
func TestEveryConfigurationInTheDocumentationWorks(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range clouds.All() {
		found := 0
		for _, page := range append(pages, "../../README.md") {
			for i, config := range configurations(t, page, kind.Plugin) {
				found++
				t.Run(fmt.Sprintf("%s/%s %d", kind.Name, filepath.Base(page), i+1), func(t *testing.T) {
					n := boot(t, kind)
					path := filepath.Join(t.TempDir(), "credential-providers.yaml")
					if err := os.WriteFile(path, []byte(n.here(config)), 0o600); err != nil {
						t.Fatal(err)
					}

					done := startKubelet(t, path).pull(n.images(1)...)

					if strings.Contains(config, "--ib-sni-name") {
						n.wantAll(done.Answers, "nobody's")
						n.wantCalls()
						n.wantOneFailure(done, "service account token", "--ib-sni-name")
						return
					}
					n.wantAll(done.Answers, n.Machine.Owner)
					n.wantCalls(asked(n.Machine))
				})
			}
		}
		if found == 0 {
			t.Errorf("the documentation shows no configuration of %s", kind.Plugin)
		}
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
