package node_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/node/registry"
)

// The image that make image has left in dist/image is pushed by the release's own
// command. containerd takes it by its name, and by the name that it has for each
// architecture; a pod runs it that may not run as root.
func TestTheReleasedImageIsPulledByEveryName(t *testing.T) {
	n := bootNode(t, clouds.All()[0])
	n.startKubelet("node.yaml")
	pushed := n.pushRelease("registry.k8s.io/regcred/regcred")

	lock := filepath.Join(t.TempDir(), "lock.json")
	arguments := []string{"--lock", lock}
	for image := range pushed {
		arguments = append(arguments, image)
	}
	if code, stdout, stderr := n.regcred("prepull", arguments...); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	content, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	var locked struct {
		Images []struct{ Image, Digest string }
	}
	if err := json.Unmarshal(content, &locked); err != nil {
		t.Fatal(err)
	}
	plain := ""
	for _, each := range locked.Images {
		if each.Digest != pushed[each.Image] {
			t.Errorf("%s was pulled as %s, pushed as %s", each.Image, each.Digest, pushed[each.Image])
		}
		if strings.Contains(each.Image, "/regcred:") {
			plain = each.Image
		}
	}
	if len(locked.Images) != len(pushed) || plain == "" {
		t.Fatalf("got %v, pushed %v", locked.Images, pushed)
	}

	pod := newPod("", "released", plain)
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers[0].Args = []string{"--version"}
	pod.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(true)}
	n.writeStatic(pod)
	n.eventually("the tool says its version", func() string {
		pod := n.staticPod("released")
		if pod == nil || len(pod.Status.ContainerStatuses) == 0 {
			return "there is no container"
		}
		switch state := pod.Status.ContainerStatuses[0].State; {
		case state.Terminated == nil:
			return state.String()
		case state.Terminated.ExitCode != 0:
			t.Fatalf("it ended: %v", state.Terminated)
		}
		return ""
	})
}

// pushRelease pushes the released image as a repository, and returns the digests
// of what was pushed, by names as pods write them.
func (n *node) pushRelease(repository string) map[string]string {
	n.t.Helper()
	layout := cloudtest.Path("dist", "image")
	if _, err := os.Stat(layout); err != nil {
		n.t.Fatalf("run make image: %v", err)
	}
	command := exec.CommandContext(n.t.Context(), "go", "run", ".", "push", "-layout", layout, registry.Address+"/"+repository)
	command.Dir = cloudtest.Path("deploy", "release")
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		n.t.Fatalf("push: %v", err)
	}
	pushed := map[string]string{}
	architectures := 0
	for line := range strings.Lines(string(output)) {
		name, digest, _ := strings.Cut(strings.TrimSpace(line), "@")
		image := strings.TrimPrefix(name, registry.Address+"/")
		pushed[image] = digest
		if strings.HasPrefix(image, repository+"-") {
			architectures++
		}
	}
	if architectures == 0 || len(pushed) != architectures+1 {
		n.t.Fatalf("pushed %v", pushed)
	}
	return pushed
}
