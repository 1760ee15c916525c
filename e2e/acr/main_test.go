// Package acr_test runs the acr-credential-provider that ships, as the kubelet
// would, on a node in a fake Azure at the production names and addresses, or
// outside of one.
//
//	make build && go test ./e2e/acr
package acr_test

import (
	"os"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// plugin is the program under test.
var plugin = cloudtest.Binary("acr-credential-provider")

func TestMain(m *testing.M) { os.Exit(cloudtest.Run(m, "e2e/acr", plugin)) }
