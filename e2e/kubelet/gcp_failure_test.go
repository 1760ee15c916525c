package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/gcp"
)

// The plugin that GKE's nodes have ends with success on each of these: kubelet
// counts no error, drops what it said and pulls anonymously, or with an empty
// password.
func TestAFailureOfTheMetadataServerIsOneLineInKubeletsLog(t *testing.T) {
	tests := []struct {
		name   string
		broken func(*gcpNode)
		says   []string
	}{
		{"no service account", func(n *gcpNode) {
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.ServiceAccount = "" })
		}, []string{"metadata", "169.254.169.254", "404", "attach one"}},
		{"no scope", func(n *gcpNode) {
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Scopes = []string{gcp.LoggingWrite} })
		}, []string{"scope", "devstorage.read_only"}},
		{"turned off", func(n *gcpNode) {
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Disabled = true })
		}, []string{"metadata", "403", "disabled"}},
		{"an empty object", func(n *gcpNode) {
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Shape = fake.NoFields })
		}, []string{"metadata", "no token"}},
		{"an empty token", func(n *gcpNode) {
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Shape = fake.EmptyToken })
		}, []string{"metadata", "no token"}},
		{"out of order", func(n *gcpNode) {
			n.Cloud.Faults.Always("metadata", "", cloud.Refusal{Status: 503})
		}, []string{"metadata", "503"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootGCP(t)
			test.broken(node)

			done := startKubelet(t, node.nodeSample()).pull(node.images(1)...)

			node.wantAll(done.Answers, "nobody's")
			node.wantOneFailure(done, append(test.says, "the node's service account")...)
		})
	}
}
