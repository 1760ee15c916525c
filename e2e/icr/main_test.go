// Package icr_test runs the icr-credential-provider that ships, as the kubelet
// would, on a node in a fake IBM Cloud at the production names and addresses, or
// outside of one.
//
//	make build && go test ./e2e/icr
package icr_test

import (
	"os"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// plugin is the program under test.
var plugin = cloudtest.Binary("icr-credential-provider")

func TestMain(m *testing.M) { os.Exit(cloudtest.Run(m, "e2e/icr", plugin)) }
