package node_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// The two workloads of these cases.
const (
	shop  = "shop"
	jobs  = "jobs"
	web   = "web"
	batch = "batch"
)

func TestPodsWithTheirOwnIdentity(t *testing.T) {
	cases := []struct {
		name string
		run  func(n *node)
	}{
		{"every workload pulls what is its own", ownImagesOnly},
		{"a workload is refused what the node may pull", refusedWhatIsTheNodes},
		{"a pod that names no identity gets nothing of the node's", noIdentity},
		{"a static pod, which has no service account, pulls as the node", staticPodOfACluster},
	}
	forEachVendor(t, func(t *testing.T, v vendor) {
		n := bootNode(t, v)
		n.startCluster()
		for namespace, name := range map[string]string{shop: web, jobs: batch} {
			n.addNamespace(namespace)
			n.addServiceAccount(namespace, name, n.account.workload(namespace, name))
		}
		n.startKubelet(v.podsSample)
		t.Run("without the documented objects there is no token", func(t *testing.T) { withoutDocumented(n.in(t)) })
		n.applyDocumented()
		for _, test := range cases {
			t.Run(test.name, func(t *testing.T) { test.run(n.in(t)) })
		}
		n.reportMetrics()
	})
}

// workloadPod is a pod with a service account.
func workloadPod(namespace, account, name, image string) *corev1.Pod {
	pod := newPod(namespace, name, image)
	pod.Spec.ServiceAccountName = account
	return pod
}

// Kubelet runs no plugin that is to have a token when it cannot get one.
func withoutDocumented(n *node) {
	image := n.newRegistry() + "/project/shop/web:v1"
	n.push(image)
	n.account.workloadMayRead(shop, web, image)
	pod := workloadPod(shop, web, "early", image)
	n.run(pod)
	n.wantRefused(pod, "failed to pull")
	if runs := n.pluginRuns(); runs != 0 {
		n.t.Errorf("the kubelet ran the plugin %d times: it had a token", runs)
	}
}

// That an image is on the node already is of no use to who may not pull it.
func ownImagesOnly(n *node) {
	before, host := n.account.fetches(), n.newRegistry()
	webImage, batchImage := host+"/project/shop/web:v1", host+"/project/jobs/batch:v1"
	n.push(webImage, batchImage)
	n.account.workloadMayRead(shop, web, webImage)
	n.account.workloadMayRead(jobs, batch, batchImage)

	own := []*corev1.Pod{
		workloadPod(shop, web, "own", webImage),
		workloadPod(jobs, batch, "own", batchImage),
	}
	n.run(own...)
	n.wantRunning(own...)

	foreign := []*corev1.Pod{
		workloadPod(shop, web, "foreign", batchImage),
		workloadPod(jobs, batch, "foreign", webImage),
	}
	n.run(foreign...)
	for _, pod := range foreign {
		n.wantRefused(pod, n.account.refusal(pod.Namespace, pod.Spec.ServiceAccountName))
	}
	again := workloadPod(shop, web, "again", webImage)
	n.run(again)
	n.wantRunning(again)
	n.wantFetches(before, 2)
}

func refusedWhatIsTheNodes(n *node) {
	pod := workloadPod(shop, web, "not-the-node", n.newImage())
	n.run(pod)
	n.wantRefused(pod, n.account.refusal(shop, web))
}

// Where the configuration has an identity for everybody, an operator has taken
// it away.
func noIdentity(n *node) {
	if everybody := n.vendor.everybody; everybody != "" {
		n.reconfigureKubelet(func(sample string) string { return strings.Replace(sample, everybody, "", 1) })
	}
	image := n.newImage()
	pod := workloadPod(shop, "default", "nobody", image)
	before := n.cloudCalls()
	n.run(pod)
	n.wantRefused(pod, "failed to pull")
	if asked := n.cloudCalls() - before; asked != 0 {
		n.t.Errorf("the cloud was asked %d times, want never", asked)
	}
	if len(n.complaints(image)) == 0 {
		n.t.Error("the kubelet's log does not say why the pod got nothing")
	}
}

func staticPodOfACluster(n *node) {
	before, image := n.account.fetches(), n.newImage()
	n.writeStatic(newPod("kube-system", "static", image))
	n.eventually("the static pod runs", func() string { return whyNotRunning(n.staticPod("static")) })
	n.wantFetches(before, 1)
}
