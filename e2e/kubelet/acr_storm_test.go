package kubelet_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud"
)

// The metadata service answers five at once, and a node that boots runs the
// plugin once for every image that its pods name.
func TestAHundredImagesAtOnceTakeOneTokenOfTheMachineAndOneOfEachRegistry(t *testing.T) {
	const count = 110
	hosts := []string{acrRegistry, "second-e7ggejfuhzhgedc8.azurecr.io", "third.eastus.geo.azurecr.io"}
	node := bootACRNode(t)
	for _, host := range hosts[1:] {
		node.serve(host, acrNodeIdentity.ClientID)
	}
	node.slowDown("imds")
	node.slowDown("acr")
	images := acrImages(count, hosts...)
	kubelet := startKubelet(t, acrNodeSample)

	begin := time.Now()
	done := kubelet.pull(images...)
	took := time.Since(begin)

	if runs := done.PluginRuns[acrPlugin]; runs != count {
		t.Fatalf("kubelet ran the plugin %d times, want %d: there was no storm", runs, count)
	}
	node.wantAll(images, done.Answers, acrNodeIdentity.ClientID)
	node.wantCalls(calls{"imds GetToken": 1, "acr Exchange": len(hosts)})
	if different := len(passwords(done.Answers)); different != len(hosts) {
		t.Errorf("%d different tokens were handed out, want one for each of %d registries", different, len(hosts))
	}

	begin = time.Now()
	node.wantAll(images, startKubelet(t, acrNodeSample).pull(images...).Answers, acrNodeIdentity.ClientID)
	t.Logf("%d images: cold %s with services that take 500ms a question, warm %s", count, took, time.Since(begin))
	node.wantCalls(calls{})
}

// A service that throttles is not helped by a node on which every pull tries for
// itself, whichever registry it is for.
func TestAThrottledMetadataServiceIsAskedByOneProcess(t *testing.T) {
	const count = 30
	hosts := []string{acrRegistry, "second.azurecr.io", "third.azurecr.io"}
	node := bootACRNode(t)
	node.cloud.Faults.Always("imds", "", cloud.Refusal{Status: 429})
	kubelet := startKubelet(t, acrNodeSample)
	images := acrImages(count, hosts...)

	done := kubelet.pull(images...)

	node.wantAll(images, done.Answers, "nobody's")
	for i, answer := range done.Answers {
		if answer.Elapsed > budget {
			t.Errorf("image %d took %s", i, answer.Elapsed)
		}
	}
	failed := failures(done)
	if len(failed) != count || done.PluginErrors[acrPlugin] != count {
		t.Fatalf("kubelet counted %d errors of the plugin and logged %d, want %d", done.PluginErrors[acrPlugin], len(failed), count)
	}
	wantLine(t, said(t, failed[0]), "imds", "169.254.169.254", "429")
	if asked := node.cloud.Calls.Count("imds", ""); asked < 2 || asked > maxAttempts {
		t.Errorf("the service was asked %d times, want at least twice and at most %d times", asked, maxAttempts)
	}
	t.Logf("given up after %s", done.Answers[0].Elapsed)

	node.cloud.Faults.Clear()
	eventually(t, "a pull succeeds again", func() bool {
		return node.whose(images[0], kubelet.pull(images[0]).Answers[0]) == acrNodeIdentity.ClientID
	})
}
