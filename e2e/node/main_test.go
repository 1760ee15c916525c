// Package node_test runs pods on a real node: kubelet, containerd, runc and a
// registry, with an API server and etcd where a cluster is needed. The
// plugins are those that ship, their configurations those of the
// documentation, and the only thing that is not real is the cloud.
//
//	make build parts && go test -C e2e/node -count=1 -timeout 25m ./...
//
// What the parts wrote is kept in .cache/node/logs when a test fails.
package node_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/node/build"
	"regcred/e2e/node/enclosure"
	"regcred/e2e/node/part"
)

var (
	// keepDir holds what is kept for the next run.
	keepDir = cloudtest.Path(".cache", "node")
	// place is where the parts of every node are, one node after the other.
	// The namespace's /run is in memory and goes away with it.
	place = part.Place{Dir: "/run/node", Logs: filepath.Join(keepDir, "logs")}
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	switch err := enter(); {
	case errors.Is(err, cloud.ErrUnsupported):
		fmt.Fprintf(os.Stderr, "e2e/node: all tests skipped: %v\n", err)
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "e2e/node: %v\n", err)
		return 1
	}
	return m.Run()
}

// enter moves the program to where it can start nodes. It is started again on
// the way, and only the last one gets past the end of this function.
func enter() error {
	if err := enclosure.Check(); err != nil {
		return fmt.Errorf("%w: %w", cloud.ErrUnsupported, err)
	}
	plugins := []string{dockerconfigPlugin}
	for _, kind := range clouds.All() {
		plugins = append(plugins, kind.Plugin)
	}
	for _, plugin := range plugins {
		if _, err := os.Stat(cloudtest.Binary(plugin)); err != nil {
			return fmt.Errorf("run make build: %w", err)
		}
	}
	programs, err := build.Find(cloudtest.Path("e2e", "node"), keepDir)
	if errors.Is(err, build.ErrMissing) {
		return fmt.Errorf("run make parts: %w", err)
	} else if err != nil {
		return err
	}
	place.Programs = programs
	return enclosure.Enter(cloud.Enter)
}
