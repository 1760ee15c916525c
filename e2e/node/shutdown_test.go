package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"regcred/e2e/node/enclosure"
)

// shutDown stops everything, in the opposite order of the start. The logs are
// kept when the test failed.
func (n *node) shutDown() {
	n.stopKubelet()
	for _, started := range slices.Backward(n.parts) {
		if err := started.Stop(); err != nil {
			n.t.Error(err)
		}
	}
	// The containers and their shims are nobody's children by now.
	if err := enclosure.Empty(); err != nil {
		n.t.Error(err)
	}
	if n.Node != nil {
		for _, violation := range n.Cloud.Calls.Violations() {
			n.t.Errorf("violation: %s", violation)
		}
		if err := n.Cloud.Close(); err != nil {
			n.t.Error(err)
		}
	}
	if err := removeMounted(n.place.Dir); err != nil {
		n.t.Error(err)
	}
	if n.t.Failed() {
		n.t.Logf("the parts' logs are in %s", n.place.Logs)
		n.keepCalls()
		return
	}
	if err := os.RemoveAll(n.place.Logs); err != nil {
		n.t.Error(err)
	}
}

// keepCalls writes what the cloud was asked beside the parts' logs.
func (n *node) keepCalls() {
	if n.Node == nil {
		return
	}
	if err := os.WriteFile(filepath.Join(n.place.Logs, "cloud.log"), []byte(n.Cloud.Calls.String()), 0o644); err != nil {
		n.t.Error(err)
	}
}

// removeMounted removes a directory that others have mounted things in.
func removeMounted(directory string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var failures []error
	for line := range strings.Lines(string(mounts)) {
		// The fifth field is where it is mounted.
		if target := strings.Fields(line)[4]; strings.HasPrefix(target, directory+"/") {
			failures = append(failures, syscall.Unmount(target, syscall.MNT_DETACH))
		}
	}
	return errors.Join(append(failures, os.RemoveAll(directory))...)
}
