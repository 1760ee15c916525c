//go:build linux

// Package regcred_test runs the tool that ships on nodes of fake clouds, beside
// the plugins that ship and a process that looks like their kubelet.
//
//	make build && go test ./e2e/regcred
package regcred_test

import (
	"os"
	"path/filepath"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// tool is the program under test.
var tool = cloudtest.Binary("regcred")

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "kubelet" || len(os.Args) == 2 && os.Args[1] == "--version" {
		beKubelet()
		return
	}
	os.Exit(cloudtest.Run(m, "e2e/regcred", tool))
}
