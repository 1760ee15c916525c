package kubelet_test

import (
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/clouds"
)

// budget is the longest that a pull waits for the plugin. Kubelet kills it at
// 60 s, and what it had to say is lost.
const budget = 55 * time.Second

// A node that boots runs the plugin once for every image that its pods name.
// Whatever the registry, its identity is proved once, and each registry gives
// one credential.
func TestAHundredImagesAtOnceAskTheCloudOnce(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		const count = 110
		n.slowDown()
		images := n.images(count)
		kubelet := startKubelet(t, n.nodeSample())

		begin := time.Now()
		done := kubelet.pull(images...)
		took := time.Since(begin)

		if runs := done.PluginRuns[n.Plugin]; runs != count {
			t.Fatalf("kubelet ran the plugin %d times, want %d: there was no storm", runs, count)
		}
		n.wantAll(done.Answers, n.Machine.Owner)
		n.wantCalls(asked(n.Machine))
		if different := len(passwords(done.Answers)); different != 1 {
			t.Errorf("%d different passwords were handed out, want 1", different)
		}

		warm := startKubelet(t, n.nodeSample())
		begin = time.Now()
		n.wantAll(warm.pull(images...).Answers, n.Machine.Owner)
		t.Logf("%d images: cold %s with services that take 500ms a question, warm %s", count, took, time.Since(begin))
		n.wantCalls()
	})
}

// A cloud that throttles is not helped by a node on which every pull tries for
// itself.
func TestAThrottledCloudIsAskedByOneProcess(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		const count = 30
		service, _, _ := strings.Cut(n.Machine.Calls[0], " ")
		n.Cloud.Faults.Always(service, "", cloud.Refusal{Status: 429})
		images := n.images(count)
		kubelet := startKubelet(t, n.nodeSample())

		begin := time.Now()
		done := kubelet.pull(images...)
		t.Logf("%d images refused in %s with %d calls", count, time.Since(begin), n.Cloud.Calls.Count(service, ""))

		n.wantAll(done.Answers, "nobody's")
		for i, answer := range done.Answers {
			if answer.Elapsed > budget {
				t.Errorf("image %d took %s", i, answer.Elapsed)
			}
		}
		failed := failures(done)
		if len(failed) != count || done.PluginErrors[n.Plugin] != count {
			t.Fatalf("kubelet counted %d errors of the plugin and logged %d, want %d", done.PluginErrors[n.Plugin], len(failed), count)
		}
		wantLine(t, said(t, failed[0]), service, "429", "throttles")
		if asked := n.Cloud.Calls.Count(service, ""); asked < 2 || asked > maxAttempts {
			t.Errorf("%s was asked %d times, want at least twice and at most %d times", service, asked, maxAttempts)
		}

		n.Cloud.Faults.Clear()
		eventually(t, "a pull succeeds again", func() bool {
			return n.whose(kubelet.pull(images[0]).Answers[0]) == n.Machine.Owner
		})
	})
}

// Kubelet kills a plugin after a minute, and what it had to say is lost. Of all
// that wait for a service that does not answer, each has its say before that.
// It takes a minute, and the core's own time: one cloud stands for all.
func TestAMetadataServiceThatHangsIsGivenUpInTime(t *testing.T) {
	n := boot(t, clouds.All()[0])
	const count = 20
	service, _, _ := strings.Cut(n.Machine.Calls[0], " ")
	n.Cloud.Faults.Always(service, "", cloud.Hang{})

	done := startKubelet(t, n.nodeSample()).pull(n.images(count)...)

	n.wantAll(done.Answers, "nobody's")
	for i, answer := range done.Answers {
		if answer.Elapsed > budget {
			t.Errorf("answer %d took %s", i+1, answer.Elapsed)
		}
	}
	failed := failures(done)
	if len(failed) != count {
		t.Fatalf("kubelet logged %d failures, want %d", len(failed), count)
	}
	wantLine(t, said(t, failed[0]), service, "169.254.169.254", "accepted the connection and did not answer")
	if asked := n.Cloud.Calls.Count(service, ""); asked > maxAttempts {
		t.Errorf("the service was asked %d times, want at most %d", asked, maxAttempts)
	}
	t.Logf("given up after %s", done.Answers[0].Elapsed)
}

// maxAttempts bounds the calls of one process, which may ask three things at
// the same time.
const maxAttempts = 12
