package kubelet_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// A configuration that is copied from our documentation starts kubelet. For a
// static pod it gets the node's token, or, where identity bindings are for all,
// nothing but a line that says so.
func TestEveryConfigurationOfACRInTheDocumentationWorks(t *testing.T) {
	found := 0
	for _, page := range []string{"../../docs/acr.md", "../../README.md"} {
		for i, config := range configurations(t, page, acrPlugin) {
			found++
			t.Run(fmt.Sprintf("%s %d", filepath.Base(page), i+1), func(t *testing.T) {
				node := bootACRNode(t)
				images := acrImages(1)

				done := startKubelet(t, acrConfig(t, config)).pull(images...)

				if strings.Contains(config, "--ib-sni-name") {
					node.wantAll(images, done.Answers, "nobody's")
					node.wantCalls(calls{})
					if failed := failures(done); len(failed) == 1 {
						wantLine(t, said(t, failed[0]), "service account token", "--ib-sni-name")
					} else {
						t.Errorf("kubelet logged %q, want one failure", failed)
					}
					return
				}
				node.wantAll(images, done.Answers, acrNodeIdentity.ClientID)
				node.wantCalls(askACRNode)
			})
		}
	}
	if found == 0 {
		t.Error("the documentation shows no configuration")
	}
}
