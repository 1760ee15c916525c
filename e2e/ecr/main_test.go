// Package ecr_test runs the ecr-credential-provider that ships, as the kubelet
// would, on a node in a fake AWS at the production names and addresses.
//
//	make build && go test ./e2e/ecr
package ecr_test

import (
	"os"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// plugin is the program under test.
var plugin = cloudtest.Binary("ecr-credential-provider")

func TestMain(m *testing.M) { os.Exit(cloudtest.Run(m, "e2e/ecr", plugin)) }
