// Package kubelet_test runs kubelet's own credential provider code, as the
// lookup program, against the plugins that ship, with fake clouds at the
// production names and addresses.
//
//	make build && go test -C e2e/kubelet -count=1 .
//
// Go does not see that the tests depend on the plugins' binaries, so without
// -count=1 it may repeat an old result.
package kubelet_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

const pluginName = "ecr-credential-provider"

var (
	// lookupProgram stays for the next run: linking it takes seconds.
	lookupProgram = cloudtest.Path("e2e", "kubelet", "bin", "lookup")
	// pluginDir is where `make build` leaves the binaries.
	pluginDir = cloudtest.Path("bin")
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// Outside, where modules can still be downloaded.
	build := exec.Command("go", "build", "-o", lookupProgram, "./lookup")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e/kubelet: go build ./lookup: %v\n", err)
		return 1
	}
	return cloudtest.Run(m, "e2e/kubelet", cloudtest.Binary(pluginName), cloudtest.Binary(gcrPlugin), cloudtest.Binary(acrPlugin))
}
