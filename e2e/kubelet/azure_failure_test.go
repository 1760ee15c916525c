package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/fake"
)

// A plugin that fails leaves kubelet without any credential: it pulls
// anonymously, which is all that a registry open to everybody needs.
func TestAFailureOfAzureIsOneLineInKubeletsLogAndNoCredential(t *testing.T) {
	for _, test := range []struct {
		name   string
		broken func(*azureNode)
		says   []string
	}{
		{"no identity", func(n *azureNode) {
			n.azure.Configure(func(s *azure.Settings) { s.IMDS.User = nil })
		}, []string{"imds", "169.254.169.254", "400", "not assigned"}},
		{"an empty token of the machine", func(n *azureNode) {
			n.azure.Configure(func(s *azure.Settings) { s.IMDS.Token.Shape = fake.EmptyToken })
		}, []string{"imds", "no token"}},
		{"no role", func(n *azureNode) { n.serve(n.Registry(0)) },
			[]string{"exchange", "example.azurecr.io", "401", "AcrPull", "Container Registry Repository Reader"}},
		{"network rules", func(n *azureNode) { n.azure.AddRegistry(azure.Registry{Hosts: []string{n.Registry(0)}, Blocked: true}) },
			[]string{"exchange", "example.azurecr.io", "403", "network"}},
		{"an empty token of the registry", func(n *azureNode) {
			n.azure.Configure(func(s *azure.Settings) { s.ACR.Refresh.Shape = fake.EmptyToken })
		}, []string{"exchange", "no token"}},
		{"a page instead of JSON", func(n *azureNode) { n.Cloud.Faults.Always("acr", "", cloud.NotJSON) }, []string{"exchange"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := bootAzure(t)
			test.broken(node)
			images := node.images(1)

			// The entry for anonymous pulls is for an answer, and this is none.
			config := node.nodeSample(anonymousFallback)
			done := startKubelet(t, config).pull(images...)

			node.wantAll(done.Answers, "nobody's")
			node.wantOneFailure(done, append(test.says, azure.NodeIdentity.ClientID)...)
		})
	}
}
