package node_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// The cases share a node, each with registries of its own, and follow one
// another.
func TestPodsWithTheNodesIdentity(t *testing.T) {
	cases := []testCase{
		{"a private image is pulled", pullsPrivateImage},
		{"thirty images at once take one credential", thirtyImagesTakeOneCredential},
		{"a node without an identity pulls what is public", pullsPublicWithoutIdentity},
		{"a public image is pulled beside a private one", pullsPublicBesidePrivate},
		{"a secret of the pod and the plugin work together", secretAndPlugin},
		{"the plugin is replaced while the kubelet runs", pluginIsReplaced},
		{"a failure of the plugin is one line in the kubelet's log", failureIsLogged},
		{"a credential that expired between pulls is not used", expiryBetweenPulls},
		{"a credential that expired in the queue is fetched again", expiryInTheQueue},
		{"a restarted kubelet pulls without asking the cloud", restartedKubelet},
		{"a cloud that is down does not stop pulls", cloudIsDown},
		{"the doctor finds nothing", doctorFindsNothing},
		{"a host that looks like the cloud's is sent nothing", lookAlikeIsSentNothing},
	}
	eachCloud(t, func(n *node) {
		n.startCluster()
		n.startKubelet("node.yaml")
		for i, test := range slices.Concat(cases, n.row.asNode) {
			n.t.Run(test.name, func(t *testing.T) {
				n := n.in(t)
				n.namespace = fmt.Sprintf("case-%d", i)
				n.addNamespace(n.namespace)
				test.run(n)
			})
		}
	})
}

// pod is a pod of the case's namespace, with its only service account.
func (n *node) pod(name string, images ...string) *corev1.Pod {
	return newPod(n.namespace, name, images...)
}

// wantFetches fails the test unless so many credentials were fetched since.
func (n *node) wantFetches(since, want int) {
	n.t.Helper()
	if got := n.fetches() - since; got != want {
		n.t.Errorf("%d credentials were fetched, want %d", got, want)
	}
}

func pullsPrivateImage(n *node) {
	before := n.fetches()
	pod := n.pod("app", n.newImage())
	n.run(pod)
	n.wantRunning(pod)
	n.wantFetches(before, 1)
	n.reportMetrics()
}
