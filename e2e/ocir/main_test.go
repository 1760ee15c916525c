// Package ocir_test runs the ocir-credential-provider that ships, as the kubelet
// would, on a node in a fake of Oracle's cloud at the production names and
// addresses.
//
//	make build && go test ./e2e/ocir
package ocir_test

import (
	"os"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// plugin is the program under test.
var plugin = cloudtest.Binary("ocir-credential-provider")

func TestMain(m *testing.M) { os.Exit(cloudtest.Run(m, "e2e/ocir", plugin)) }
