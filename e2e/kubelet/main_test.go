// Package kubelet_test runs kubelet's own credential provider code, as the
// lookup program, against the plugins that ship, with fake clouds at the
// production names and addresses.
//
//	make build parts && go test -C e2e/kubelet -count=1 .
//
// Go does not see that the tests depend on these binaries, so without -count=1 it
// may repeat an old result.
package kubelet_test

import (
	"fmt"
	"os"
	"testing"

	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/cloudtest"
)

var (
	// lookupProgram is where `make parts` leaves it.
	lookupProgram = cloudtest.Path("e2e", "kubelet", "bin", "lookup")
	// pluginDir is where `make build` leaves the binaries.
	pluginDir = cloudtest.Path("bin")
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if _, err := os.Stat(lookupProgram); err != nil {
		fmt.Fprintf(os.Stderr, "e2e/kubelet: run make parts: %v\n", err)
		return 1
	}
	plugins := []string{cloudtest.Binary(dockerconfigPlugin)}
	for _, kind := range clouds.All() {
		plugins = append(plugins, cloudtest.Binary(kind.Plugin))
	}
	return cloudtest.Run(m, "e2e/kubelet", plugins...)
}
