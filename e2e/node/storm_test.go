package node_test

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Kubelet runs the plugin for every image, at once, also while its pulls wait
// for one another.
func thirtyImagesTakeOneCredential(n *node) {
	const count = 30
	fetches, runs := n.fetches(), n.pluginRuns()
	host := n.newRegistry()
	n.slowDown(4 * time.Second)
	var pods []*corev1.Pod
	for i := range count {
		pods = append(pods, n.pod(fmt.Sprintf("app-%d", i), n.imageOf(host, fmt.Sprintf("app-%d", i))))
	}

	begin := time.Now()
	n.run(pods...)
	n.wantRunning(pods...)
	n.t.Logf("%d pods ran after %s; the kubelet ran the plugin %d times",
		count, time.Since(begin).Round(time.Millisecond), n.pluginRuns()-runs)

	n.wantFetches(fetches, 1)
	if runs = n.pluginRuns() - runs; runs < count/3 {
		n.t.Errorf("the kubelet ran the plugin %d times: there was no storm", runs)
	}
}
