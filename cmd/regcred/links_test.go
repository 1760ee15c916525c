package main_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The tool runs the plugins: it does not do what they do, and it asks the API
// server and the registries itself. Each of these would double its size.
func TestWhatTheToolIsMadeOf(t *testing.T) {
	output, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(output))
	if len(packages) < 100 {
		t.Fatalf("%d packages", len(packages))
	}
	for _, name := range packages {
		for _, unwanted := range []string{
			"k8s.io/client-go", "k8s.io/api/", "k8s.io/cri-client", "github.com/aws/", "cloud.google.com/", "github.com/Azure/",
			"github.com/oracle/", "golang.org/x/oauth2", "go.opentelemetry.io/", "github.com/docker/docker/",
			"regcred/plugins/",
		} {
			if strings.HasPrefix(name, unwanted) {
				t.Errorf("it links %s", name)
			}
		}
	}
}
