// Package ecr_test runs the ecr-credential-provider that ships, as the kubelet
// would, on a node in a fake AWS at the production names and addresses.
//
//	make build && go test ./e2e/ecr
package ecr_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"regcred/e2e/cloud"
)

// plugin is the program under test, where `make build` leaves it.
var plugin = absolute("../../bin/ecr-credential-provider")

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if _, err := os.Stat(plugin); err != nil {
		fmt.Fprintf(os.Stderr, "e2e/ecr: run make build: %v\n", err)
		return 1
	}
	switch err := cloud.Enter(); {
	case errors.Is(err, cloud.ErrUnsupported):
		fmt.Fprintf(os.Stderr, "e2e/ecr: all tests skipped: %v\n", err)
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "e2e/ecr: %v\n", err)
		return 1
	}
	return m.Run()
}

func absolute(path string) string {
	whole, err := filepath.Abs(path)
	if err != nil {
		panic(err) // there is no working directory
	}
	return whole
}
