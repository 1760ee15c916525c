package node_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"regcred/e2e/cloud/cloudtest"
)

// regcred runs the tool on the node, told which kubelet is the node's: there
// may be others on this machine.
func (n *node) regcred(verb string, args ...string) (code int, stdout, stderr string) {
	n.t.Helper()
	command := exec.CommandContext(n.t.Context(), cloudtest.Binary("regcred"), append([]string{verb, "--kubelet-pid=" + strconv.Itoa(n.kubelet.PID())}, args...)...)
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	if err := command.Run(); err != nil && command.ProcessState == nil {
		n.t.Fatal(err)
	}
	n.t.Logf("regcred %s %s\n%s%s", verb, strings.Join(args, " "), out.String(), errors.String())
	return command.ProcessState.ExitCode(), out.String(), errors.String()
}

// What was pulled before is there for pods that may not pull, and for those that
// need not, while the cloud is gone. Pods that write the name in another way
// have another image.
func prepulledImagesRun(n *node) {
	first, second, third := n.newImage(), n.newImage(), n.newImage()
	lock := filepath.Join(n.t.TempDir(), "lock.json")
	list := filepath.Join(n.t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("# of the team\n"+second+"\n"), 0o600); err != nil {
		n.t.Fatal(err)
	}
	code, stdout, stderr := n.regcred("prepull", "--pin", "--lock", lock, "-f", list, first)
	if code != 0 || !strings.Contains(stdout, "3 images in ") || !strings.Contains(stdout, "with provider "+n.Plugin) {
		n.t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	// The lock has what came, and is a list itself.
	text, err := os.ReadFile(lock)
	if err != nil {
		n.t.Fatal(err)
	}
	var locked struct {
		Images []struct{ Image, Digest string }
	}
	if err := json.Unmarshal(text, &locked); err != nil || len(locked.Images) != 3 || locked.Images[0].Image != first || !strings.HasPrefix(locked.Images[0].Digest, "sha256:") {
		n.t.Errorf("lock: %s", text)
	}
	if code, stdout, _ = n.regcred("prepull", "-f", lock); code != 0 || !strings.Contains(stdout, "0 pulled, 3 here already, 0 failed") {
		n.t.Errorf("again by the lock: exit code %d", code)
	}

	n.goDown()
	never, ifNotPresent := n.pod("never", first), n.pod("if-not-present", second)
	never.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
	ifNotPresent.Spec.Containers[0].ImagePullPolicy = corev1.PullIfNotPresent
	n.run(never, ifNotPresent)
	n.wantRunning(never, ifNotPresent)

	// An image that nobody may pull is a failure of its own.
	n.Cloud.Faults.Clear()
	moved := filepath.Join(n.t.TempDir(), "moved")
	if err := os.WriteFile(moved, []byte(third+" sha256:"+strings.Repeat("0", 64)+"\n"), 0o600); err != nil {
		n.t.Fatal(err)
	}
	code, stdout, stderr = n.regcred("prepull", "-o", "json", "-f", moved, host(first)+"/nobody/has:this")
	events := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 1 || stderr != "" || len(events) != 4 || !strings.Contains(stdout, "the tag was moved, or the list is old") || !strings.Contains(stdout, `"event":"failed","image":"`+host(first)+`/nobody/has:this"`) {
		n.t.Errorf("exit code %d, %d events", code, len(events))
	}
}

// The names of the images of the node's pods are those that the pods write.
func prepullsWhatPodsHave(n *node) {
	image := n.newImage()
	pod := n.pod("app", image)
	n.run(pod)
	n.wantRunning(pod)
	code, stdout, _ := n.regcred("prepull", "--from-pods")
	if code != 0 || !strings.Contains(stdout, "here already: "+image+"; pods without credentials may use it\n") {
		n.t.Errorf("exit code %d", code)
	}
}
