package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud/gcp"
)

func TestTheGCRSampleGetsTheNodesToken(t *testing.T) {
	node := bootGCRNode(t)
	kubelet := startKubelet(t, gcrNodeSample)

	done := kubelet.pull(gcrImages(1)...)

	node.wantAll(done.Answers, gcp.Account(gcrNodeAccount))
	node.wantCalls(askGCRNode)
	if len(done.Log) != 0 {
		t.Errorf("kubelet logged %q", done.Log)
	}

	// Kubelet keeps the answer for the whole registry.
	second := kubelet.pull(gcrRegistry + "/another/team/tool")
	node.wantAll(second.Answers, gcp.Account(gcrNodeAccount))
	if runs := second.PluginRuns[gcrPlugin]; runs != 1 {
		t.Errorf("the plugin ran %d times, want 1", runs)
	}

	// A restarted kubelet has forgotten everything. The plugin has not.
	third := startKubelet(t, gcrNodeSample).pull(gcrImages(1)...)
	node.wantAll(third.Answers, gcp.Account(gcrNodeAccount))
	node.wantCalls(calls{})
	t.Logf("cold %s, warm %s", done.Answers[0].Elapsed, third.Answers[0].Elapsed)
}

// Every shape that a registry's name has is matched by the sample. Patterns
// match as many labels as they have, so "*.pkg.dev" is none of the regional
// endpoints.
func TestEveryRegistryOfTheGCRSampleIsAnswered(t *testing.T) {
	hosts := []string{
		"gcr.io", "us.gcr.io", "marketplace.gcr.io",
		"us-docker.pkg.dev", "northamerica-northeast1-docker.pkg.dev",
		"docker.us-central1.rep.pkg.dev", "docker.me-central2.rep.pkg.dev",
		"container.cloud.google.com",
	}
	node := bootGCRNode(t)
	var images []string
	for _, host := range hosts {
		images = append(images, host+"/example.com/project/app:v1")
	}

	done := startKubelet(t, gcrNodeSample).pull(images...)

	node.wantAll(done.Answers, gcp.Account(gcrNodeAccount))
	if different := len(passwords(done.Answers)); different != 1 {
		t.Errorf("%d different tokens, want 1 that is good for all", different)
	}
	node.wantCalls(askGCRNode)
	if runs := done.PluginRuns[gcrPlugin]; runs != len(hosts) {
		t.Errorf("the plugin ran %d times, want %d", runs, len(hosts))
	}
}
