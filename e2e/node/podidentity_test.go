package node_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"
)

// The workloads of these cases, one of which is the cluster's own.
const (
	shop   = "shop"
	jobs   = "jobs"
	web    = "web"
	batch  = "batch"
	system = "kube-system"
	agent  = "agent"
)

func TestPodsWithTheirOwnIdentity(t *testing.T) {
	cases := []testCase{
		{"every workload pulls what is its own", ownImagesOnly},
		{"a workload is refused what the node may pull", refusedWhatIsTheNodes},
		{"a pod of the cluster's own that names no identity pulls as the node", noIdentityInTheSystem},
		{"another pod that names no identity is refused, and the log says what lets it pull", noIdentity},
		{"a static pod, which has no service account, pulls as the node", staticPodOfACluster},
		{"the tool says what becomes of a pod", getSaysWhatBecomesOfAPod},
		{"the doctor finds nothing", doctorFindsNothingForPods},
	}
	eachCloud(t, func(n *node) {
		n.startCluster()
		n.startKubelet("pods.yaml")
		n.addNamespace(shop)
		n.addNamespace(jobs)
		n.eventually("the cluster's own namespace is there", func() string { return n.missingNamespace(system) })
		n.addServiceAccount(system, "default", nil)
		n.owners = map[string]string{}
		for namespace, name := range map[string]string{shop: web, jobs: batch, system: agent} {
			identity := n.workload(namespace, name)
			n.addServiceAccount(namespace, name, identity.Annotations)
			n.owners[namespace] = identity.Owner
		}
		n.t.Run("without the documented objects there is no token", func(t *testing.T) { withoutDocumented(n.in(t)) })
		n.t.Run("the doctor tells of them", func(t *testing.T) { doctorMissesDocumented(n.in(t)) })
		n.applyDocumented()
		for _, test := range slices.Concat(cases, n.row.asPods) {
			n.t.Run(test.name, func(t *testing.T) { test.run(n.in(t)) })
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

// refusal is what a registry says to a namespace's workload that may not read
// an image.
func (n *node) refusal(namespace, image string) string {
	return n.owners[namespace] + " may not read " + repository(image)[len(host(image))+1:]
}

// Kubelet runs no plugin that is to have a token when it cannot get one.
func withoutDocumented(n *node) {
	image := n.readable(n.newRegistry()+"/"+n.Repository+"/web:v1", n.owners[shop])
	pod := workloadPod(shop, web, "early", image)
	n.run(pod)
	n.wantRefused(pod, "failed to pull")
	if runs := n.pluginRuns(); runs != 0 {
		n.t.Errorf("the kubelet ran the plugin %d times: it had a token", runs)
	}
	n.wantGetToMissGrant(pod)
}

// That an image is on the node already is of no use to who may not pull it.
func ownImagesOnly(n *node) {
	before, host := n.fetches(), n.newRegistry()
	webImage := n.readable(host+"/"+n.Repository+"/web:v1", n.owners[shop])
	batchImage := n.readable(host+"/"+n.Repository+"/batch:v1", n.owners[jobs])

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
	n.wantRefused(foreign[0], n.refusal(shop, batchImage))
	n.wantRefused(foreign[1], n.refusal(jobs, webImage))
	again := workloadPod(shop, web, "again", webImage)
	n.run(again)
	n.wantRunning(again)
	n.wantFetches(before, 2)
}

// Nor does it help to be one of the cluster's own.
func refusedWhatIsTheNodes(n *node) {
	image := n.newImage()
	pods := []*corev1.Pod{
		workloadPod(shop, web, "not-the-node", image),
		workloadPod(system, agent, "not-the-node", image),
	}
	n.run(pods...)
	for _, pod := range pods {
		n.wantRefused(pod, n.refusal(pod.Namespace, image))
	}
}

func noIdentityInTheSystem(n *node) {
	before := n.fetches()
	pod := workloadPod(system, "default", "no-identity", n.newImage())
	n.run(pod)
	n.wantRunning(pod)
	n.wantFetches(before, 1)
}

func noIdentity(n *node) {
	image := n.newImage()
	pod := workloadPod(shop, "default", "no-identity", image)
	before := n.cloudCalls()
	n.run(pod)
	n.wantRefused(pod, "failed to pull")
	if asked := n.cloudCalls() - before; asked != 0 {
		n.t.Errorf("the cloud was asked %d times, want never", asked)
	}
	n.t.Logf("the pod's status: %s", pullFailure(n.current(pod)))
	const advice = "--node-fallback=kube-system," + shop
	n.wantComplaint(image, shop+"/default", "names no identity to pull with", advice)

	// An operator does as the log says.
	n.reconfigureKubelet(func(provider *kubeletconfig.CredentialProvider) { provider.Args = append(provider.Args, advice) })
	n.eventually("the pod runs", func() string { return whyNotRunning(n.current(pod)) })
}

func staticPodOfACluster(n *node) {
	before, image := n.fetches(), n.newImage()
	n.writeStatic(newPod(system, "static", image))
	n.eventually("the static pod runs", func() string { return whyNotRunning(n.staticPod("static")) })
	n.wantFetches(before, 1)
}
