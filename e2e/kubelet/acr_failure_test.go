package kubelet_test

import (
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
)

// A plugin that fails leaves kubelet without any credential: it pulls
// anonymously, which is all that a registry open to everybody needs.
func TestAFailureOfAzureIsOneLineInKubeletsLogAndNoCredential(t *testing.T) {
	for _, test := range []struct {
		name   string
		broken func(*acrNode)
		says   []string
	}{
		{"no identity", func(n *acrNode) {
			n.azure.Configure(func(s *azure.Settings) { s.IMDS.User = nil })
		}, []string{"imds", "169.254.169.254", "400", "not assigned"}},
		{"an empty token of the machine", func(n *acrNode) {
			n.azure.Configure(func(s *azure.Settings) { s.IMDS.Token.Shape = azure.EmptyToken })
		}, []string{"imds", "no token"}},
		{"no role", func(n *acrNode) { n.serve(acrRegistry) },
			[]string{"exchange", acrRegistry, "401", "AcrPull", "Container Registry Repository Reader"}},
		{"network rules", func(n *acrNode) { n.azure.AddRegistry(azure.Registry{Hosts: []string{acrRegistry}, Blocked: true}) },
			[]string{"exchange", acrRegistry, "403", "network"}},
		{"an empty token of the registry", func(n *acrNode) {
			n.azure.Configure(func(s *azure.Settings) { s.ACR.Refresh.Shape = azure.EmptyToken })
		}, []string{"exchange", "no token"}},
		{"a page instead of JSON", func(n *acrNode) { n.cloud.Faults.Always("acr", "", cloud.NotJSON) }, []string{"exchange"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := bootACRNode(t)
			test.broken(node)
			images := acrImages(1)

			// The entry for anonymous pulls is for an answer, and this is none.
			config := changed(t, acrNodeSample, func(provider *kubeletconfig.CredentialProvider) {
				withAzureJSON(t)(provider)
				anonymousFallback(provider)
			})
			done := startKubelet(t, config).pull(images...)

			node.wantAll(images, done.Answers, "nobody's")
			failed := failures(done)
			if len(failed) != 1 || done.PluginErrors[acrPlugin] != 1 {
				t.Fatalf("kubelet counted %d errors and logged %q, want one failure", done.PluginErrors[acrPlugin], failed)
			}
			wantLine(t, said(t, failed[0]), append(test.says, acrNodeIdentity.ClientID)...)
		})
	}
}
