package node_test

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// An image that was pulled past the kubelet is for every pod, until the kubelet
// pulls the same content under another name with somebody's secret. What the
// tool says before, the kubelet does.
func poisonedByAnotherName(n *node) {
	image, copied := n.newImage(), ownRegistry+"/copied:v1"
	if err := n.images.PushAs(n.t.Context(), copied, image); err != nil {
		n.t.Fatal(err)
	}
	code, stdout, _ := n.regcred("prepull", image)
	if code != 0 || !strings.Contains(stdout, "pods without credentials may use it, until the kubelet pulls the same content") {
		n.t.Errorf("prepull: exit code %d", code)
	}
	n.wantExplained(0, "every pod may use it: the kubelet has not pulled it", "--pull-policy=Never", image)
	before := n.never("before", image)
	n.run(before)
	n.wantRunning(before)

	n.addPullSecret(n.namespace, "logins", map[string]login{ownRegistry: {ownUser, ownPassword}})
	other := n.pod("other", copied)
	other.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "logins"}}
	n.run(other)
	n.wantRunning(other)
	n.wantExplained(0, "this pod may use it: it was pulled with its secret "+n.namespace+"/logins", "--pod="+n.namespace+"/other")
	n.wantExplained(0, "but this pod may not use it without a pull: its ID was pulled with secret "+n.namespace+"/logins, which the pod has not", copied)

	n.wantExplained(1, "its ID was pulled as "+ownRegistry+"/copied with secret "+n.namespace+"/logins, and never under this name", "--pull-policy=Never", image)
	after := n.never("after", image)
	n.run(after)
	n.wantRefused(after, "is not present with pull policy of Never")
	if code, stdout, _ := n.regcred("prepull", image); code != 0 || !strings.Contains(stdout, "pods WITHOUT CREDENTIALS MAY NOT USE IT") {
		n.t.Errorf("prepull after that: exit code %d", code)
	}

	// The node's own pull makes it everybody's again.
	pulls := n.pod("pulls", image)
	n.run(pulls)
	n.wantRunning(pulls)
	n.wantExplained(0, "every pod may use it: it was pulled with credentials of the node, or none", "--pull-policy=Never", image)
	n.wantRunning(after)
}

// never is a pod that pulls nothing.
func (n *node) never(name, image string) *corev1.Pod {
	pod := n.pod(name, image)
	pod.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
	return pod
}

// wantExplained fails the test unless the tool says so, and asks no cloud.
func (n *node) wantExplained(want int, says string, args ...string) {
	n.t.Helper()
	asked := len(n.Cloud.Calls.All())
	code, stdout, _ := n.regcred("explain", args...)
	if code != want || !strings.Contains(stdout, says) {
		n.t.Errorf("explain %s: exit code %d, want %d and %q", strings.Join(args, " "), code, want, says)
	}
	if now := len(n.Cloud.Calls.All()); now != asked {
		n.t.Errorf("explain asked the cloud %d times", now-asked)
	}
}
