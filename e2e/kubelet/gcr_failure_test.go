package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/gcp"
)

// The plugin that GKE's nodes have ends with success on each of these: kubelet
// counts no error, drops what it said and pulls anonymously, or with an empty
// password.
func TestAFailureOfTheMetadataServerIsOneLineInKubeletsLog(t *testing.T) {
	tests := []struct {
		name   string
		broken func(*gcrNode)
		says   []string
	}{
		{"no service account", func(n *gcrNode) {
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.ServiceAccount = "" })
		}, []string{"metadata", "169.254.169.254", "404", "attach a service account"}},
		{"no scope", func(n *gcrNode) {
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Scopes = []string{gcp.LoggingWrite} })
		}, []string{"scope", "devstorage.read_only"}},
		{"turned off", func(n *gcrNode) {
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Disabled = true })
		}, []string{"metadata", "403", "disabled"}},
		{"an empty object", func(n *gcrNode) {
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Shape = gcp.NoFields })
		}, []string{"metadata", "no token"}},
		{"an empty token", func(n *gcrNode) {
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Shape = gcp.EmptyToken })
		}, []string{"metadata", "no token"}},
		{"out of order", func(n *gcrNode) {
			n.cloud.Faults.Always("metadata", "", cloud.Refusal{Status: 503})
		}, []string{"metadata", "503"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootGCRNode(t)
			test.broken(node)

			done := startKubelet(t, gcrNodeSample).pull(gcrImages(1)...)

			node.wantAll(done.Answers, "nobody's")
			failed := failures(done)
			if len(failed) != 1 || done.PluginErrors[gcrPlugin] != 1 {
				t.Fatalf("kubelet counted %d errors and logged %q, want one failure", done.PluginErrors[gcrPlugin], failed)
			}
			wantLine(t, said(t, failed[0]), append(test.says, "the node's service account")...)
		})
	}
}

// Kubelet kills a plugin after a minute, and what it had to say is lost. Of all
// that wait for a server that does not answer, each has its say before that.
func TestAMetadataServerThatHangsIsGivenUpInTime(t *testing.T) {
	const count = 20
	node := bootGCRNode(t)
	node.cloud.Faults.Always("metadata", "", cloud.Hang{})

	done := startKubelet(t, gcrNodeSample).pull(gcrImages(count)...)

	node.wantAll(done.Answers, "nobody's")
	for i, answer := range done.Answers {
		if answer.Elapsed > budget {
			t.Errorf("answer %d took %s", i+1, answer.Elapsed)
		}
	}
	failed := failures(done)
	if len(failed) != count {
		t.Fatalf("kubelet logged %d failures, want %d", len(failed), count)
	}
	wantLine(t, said(t, failed[0]), "metadata", "169.254.169.254", "GOOGLE_APPLICATION_CREDENTIALS")
	if asked := node.cloud.Calls.Count("metadata", ""); asked > maxAttempts {
		t.Errorf("the server was asked %d times, want at most %d", asked, maxAttempts)
	}
	t.Logf("given up after %s", done.Answers[0].Elapsed)
}
