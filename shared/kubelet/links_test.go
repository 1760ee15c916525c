package kubelet_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A plugin that imported the package would take as long again to start.
func TestNoPluginLinksIt(t *testing.T) {
	output, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{.Deps}}", "regcred/cmd/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	plugins := 0
	for line := range strings.Lines(string(output)) {
		name, packages, _ := strings.Cut(line, " ")
		if !strings.HasSuffix(name, "-credential-provider") {
			continue
		}
		plugins++
		for _, unwanted := range []string{"regcred/shared/kubelet", "k8s.io/kubelet/", "k8s.io/apimachinery/"} {
			if strings.Contains(packages, unwanted) {
				t.Errorf("%s links %s", name, unwanted)
			}
		}
	}
	if plugins < 5 {
		t.Errorf("%d plugins", plugins)
	}
}
