package node_test

import (
	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud/gcp"
)

var gcpAsPods = []testCase{
	{"every service account has an identity where the configuration names the provider", providerForEverybody},
}

func providerForEverybody(n *node) {
	n.reconfigureKubelet(func(provider *kubeletconfig.CredentialProvider) {
		provider.Args = append(provider.Args, "--workload-identity-provider="+gcp.PoolProvider)
	})
	image := n.newRegistry() + "/" + n.Repository + "/app:v1"
	n.readable(image, n.workload(shop, "default").Owner)
	pod := workloadPod(shop, "default", "principal", image)
	n.run(pod)
	n.wantRunning(pod)
}
