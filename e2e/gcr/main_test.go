// Package gcr_test runs the gcr-credential-provider that ships, as the kubelet
// would, on a node in a fake Google Cloud at the production names and
// addresses, or outside of one.
//
//	make build && go test ./e2e/gcr
package gcr_test

import (
	"os"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// plugin is the program under test.
var plugin = cloudtest.Binary("gcr-credential-provider")

func TestMain(m *testing.M) { os.Exit(cloudtest.Run(m, "e2e/gcr", plugin)) }
