//go:build linux

// Package install_test runs the regcred that ships: it installs onto machines
// and into images, is killed there, and finds disks full.
//
//	make build && go test ./e2e/install
//
// A machine is this one, with whatever is written kept apart. Its kubelet and
// its systemctl are this program: systemd does not run in a namespace.
package install_test

import (
	"os"
	"path/filepath"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// regcred is the program under test.
var regcred = cloudtest.Binary("regcred")

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "kubelet":
		runKubelet(os.Args[1:])
		os.Exit(1)
	case "systemctl":
		os.Exit(runSystemctl(os.Args[1:]))
	}
	os.Exit(cloudtest.Run(m, "e2e/install", regcred, cloudtest.Binary("ecr-credential-provider"), cloudtest.Binary("gcr-credential-provider")))
}
