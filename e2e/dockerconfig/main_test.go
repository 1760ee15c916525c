//go:build linux

// Package dockerconfig_test runs the dockerconfig-credential-provider that ships,
// as the kubelet would, on machines with docker configurations and credential
// helpers.
//
//	make build && go test ./e2e/dockerconfig
package dockerconfig_test

import (
	"os"
	"path/filepath"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// plugin is the program under test.
var plugin = cloudtest.Binary("dockerconfig-credential-provider")

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == helperProgram {
		os.Exit(askVault(os.Args[1:], os.Stdin, os.Stdout))
	}
	os.Exit(cloudtest.Run(m, "e2e/dockerconfig", plugin, cloudtest.Binary("regcred")))
}
