package kubelet_test

import (
	"testing"
	"time"
)

// A node that boots runs the plugin once for every image that its pods name.
func TestAHundredImagesAtOnceAskTheCloudOnce(t *testing.T) {
	const count = 110
	node := bootNode(t)
	node.slowDown()
	kubelet := startKubelet(t, nodeSample)

	begin := time.Now()
	done := kubelet.pull(images(count)...)
	took := time.Since(begin)

	if runs := done.PluginRuns[pluginName]; runs != count {
		t.Fatalf("kubelet ran the plugin %d times, want %d: there was no storm", runs, count)
	}
	node.wantAll(done.Answers, nodeRole)
	node.wantCalls(askNode)
	if different := len(passwords(done.Answers)); different != 1 {
		t.Errorf("%d different passwords were handed out, want 1", different)
	}

	warm := startKubelet(t, nodeSample)
	begin = time.Now()
	node.wantAll(warm.pull(images(count)...).Answers, nodeRole)
	t.Logf("%d images: cold %s with an ECR that takes 500ms, warm %s", count, took, time.Since(begin))
	node.wantCalls(calls{})
}
