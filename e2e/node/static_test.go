package node_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"regcred/e2e/node/part"
)

// A node without a cluster has no service accounts: whatever the plugin is
// asked, it is asked as the node.
func TestAStandaloneKubeletRunsAStaticPod(t *testing.T) {
	eachCloud(t, func(n *node) {
		image := n.newImage()
		n.startKubelet("node.yaml")

		n.writeStatic(newPod("", "static", image))

		n.eventually("the static pod runs", func() string { return whyNotRunning(n.staticPod("static")) })
		n.wantFetches(0, 1)
		n.reportMetrics()
	})
}

// writeStatic gives the kubelet a pod by a file.
func (n *node) writeStatic(pod *corev1.Pod) {
	n.t.Helper()
	content, err := json.Marshal(pod)
	if err != nil {
		n.t.Fatal(err)
	}
	path := filepath.Join(n.place.StaticPods(), pod.Name+".json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// staticPod is the kubelet's own view of a pod, nil when it knows none of that
// name. It adds the node's name to it.
func (n *node) staticPod(name string) *corev1.Pod {
	n.t.Helper()
	response, err := http.Get(part.KubeletURL + "/pods")
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	var pods corev1.PodList
	if err := json.NewDecoder(response.Body).Decode(&pods); err != nil {
		n.t.Fatal(err)
	}
	for _, pod := range pods.Items {
		if pod.Name == name+"-"+part.NodeName {
			return &pod
		}
	}
	return nil
}
