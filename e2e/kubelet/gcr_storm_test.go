package kubelet_test

import (
	"testing"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/gcp"
)

// GKE's metadata server dislikes to be asked by many at once, and a node that
// boots runs the plugin once for every image that its pods name.
func TestAHundredImagesAtOnceAskTheMetadataServerOnce(t *testing.T) {
	const count = 110
	node := bootGCRNode(t)
	node.slowDown("metadata")
	kubelet := startKubelet(t, gcrNodeSample)

	begin := time.Now()
	done := kubelet.pull(gcrImages(count)...)
	took := time.Since(begin)

	if runs := done.PluginRuns[gcrPlugin]; runs != count {
		t.Fatalf("kubelet ran the plugin %d times, want %d: there was no storm", runs, count)
	}
	node.wantAll(done.Answers, gcp.Account(gcrNodeAccount))
	node.wantCalls(askGCRNode)
	if different := len(passwords(done.Answers)); different != 1 {
		t.Errorf("%d different tokens were handed out, want 1", different)
	}

	begin = time.Now()
	node.wantAll(startKubelet(t, gcrNodeSample).pull(gcrImages(count)...).Answers, gcp.Account(gcrNodeAccount))
	t.Logf("%d images: cold %s with a metadata server that takes 500ms a question, warm %s", count, took, time.Since(begin))
	node.wantCalls(calls{})
}

// In the dockercfg flow there is an answer for every image, and one document
// for all of them.
func TestADockerConfigurationIsReadOnceForAllImages(t *testing.T) {
	const count = 40
	node := bootGCRNode(t)
	node.slowDown("metadata")
	node.gcp.Configure(func(s *gcp.Settings) {
		s.Metadata.Attributes = map[string]string{"google-dockercfg": `{"https://us-docker.pkg.dev":{"username":"user","password":"pass"}}`}
	})
	kubelet := startKubelet(t, changed(t, gcrNodeSample, func(provider *kubeletconfig.CredentialProvider) {
		provider.Args = []string{"get-credentials", "--authFlow=dockercfg"}
	}))

	done := kubelet.pull(gcrImages(count)...)

	for i, answer := range done.Answers {
		if len(answer.Credentials) != 1 || answer.Credentials[0].Username != "user" || answer.Credentials[0].Password != "pass" {
			t.Errorf("answer %d has %d credentials, want the document's", i+1, len(answer.Credentials))
		}
	}
	node.wantCalls(calls{"metadata GetAttribute": 1})
}

// A server that throttles is not helped by a node on which every pull tries
// for itself.
func TestAThrottledMetadataServerIsAskedByOneProcess(t *testing.T) {
	const count = 30
	node := bootGCRNode(t)
	node.cloud.Faults.Always("metadata", "", cloud.Refusal{Status: 429})
	kubelet := startKubelet(t, gcrNodeSample)

	done := kubelet.pull(gcrImages(count)...)

	for i, answer := range done.Answers {
		if answer.Found {
			t.Errorf("image %d has %d credentials", i, len(answer.Credentials))
		}
		if answer.Elapsed > budget {
			t.Errorf("image %d took %s", i, answer.Elapsed)
		}
	}
	if got := done.PluginErrors[gcrPlugin]; got != count {
		t.Errorf("kubelet counted %d errors of the plugin, want %d", got, count)
	}
	if got := node.cloud.Calls.Count("metadata", ""); got < 2 || got > maxAttempts {
		t.Errorf("the metadata server was asked %d times, want at least twice and at most %d times", got, maxAttempts)
	}

	node.cloud.Faults.Clear()
	eventually(t, "a pull succeeds again", func() bool {
		return node.whose(kubelet.pull(gcrImages(1)...).Answers[0]) == gcp.Account(gcrNodeAccount)
	})
}
