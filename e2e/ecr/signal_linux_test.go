package ecr_test

import (
	"bytes"
	"context"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
)

// A node that shuts down does not wait for AWS. That the plugin was stopped
// says nothing of AWS, so nothing is recorded.
func TestASignalEndsARunAndLeavesNothing(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			n := bootNode(t)
			q := question{Image: registry + "/app"}
			hanging := n.startHanging(q, plugin)
			begin := time.Now()
			if err := hanging.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			hanging.answer().wantFailure(1, "stopped by a signal", "ecr: GetAuthorizationToken", "as the node's identity")
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("ended after %s", took)
			}
			for path := range files(t, cloudtest.CacheDir) {
				if filepath.Base(path) != "lock" {
					t.Errorf("left %s", path)
				}
			}
			n.cloud.Faults.Clear()
			n.cloud.Calls.Reset()
			n.ask(q).wantCredential(registry, nodeRole)
			n.wantCalls(askIMDS, askECR(ecrAPI))
		})
	}
}

// startHanging runs a program, the plugin or one that becomes it, until ECR has
// been asked and does not answer.
func (n *node) startHanging(q question, program string, args ...string) *run {
	n.t.Helper()
	n.cloud.Faults.Always("ecr", "", cloud.Hang{})
	ctx, cancel := context.WithTimeout(n.t.Context(), cloudtest.Patience)
	n.t.Cleanup(cancel)
	command := cloudtest.Question(q).Command(ctx, program, args...)
	command.Stdin = bytes.NewReader(cloudtest.Question(q).Request(n.t))
	r := n.start(command)
	cloudtest.Eventually(n.t, "ECR being asked", func() bool { return n.cloud.Calls.Count("ecr", "") > 0 })
	return r
}
