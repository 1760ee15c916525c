package kubelet_test

import (
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"
)

// Which version of the protocol is spoken is the configuration's choice, and
// kubelet refuses an answer in another one.
func TestEveryVersionOfTheProtocolIsSpoken(t *testing.T) {
	for _, version := range []string{"v1", "v1beta1", "v1alpha1"} {
		t.Run(version, func(t *testing.T) {
			node := bootAWS(t)
			kubelet := startKubelet(t, node.nodeSample(func(provider *kubeletconfig.CredentialProvider) {
				provider.APIVersion = "credentialprovider.kubelet.k8s.io/" + version
			}))

			done := kubelet.pull(node.images(1)...)

			node.wantAll(done.Answers, node.Machine.Owner)
			node.wantCalls(asked(node.Machine))
		})
	}
}
