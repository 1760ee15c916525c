package kubelet_test

import "testing"

func TestTheSampleConfigurationGetsTheNodesCredential(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		done := startKubelet(t, n.nodeSample()).pull(n.images(1)...)

		n.wantAll(done.Answers, n.Machine.Owner)
		n.wantCalls(asked(n.Machine))
		if len(done.Log) != 0 {
			t.Errorf("kubelet logged %q", done.Log)
		}
	})
}

// Kubelet keeps the answer for the whole registry.
func TestAnotherImageOfTheRegistryTakesNoSecondRun(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		kubelet := startKubelet(t, n.nodeSample())
		first := kubelet.pull(n.images(1)...)
		n.Cloud.Calls.Reset()

		second := kubelet.pull(n.Registry(0) + "/another/team/tool@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7")

		n.wantAll(second.Answers, n.Machine.Owner)
		n.wantCalls()
		if runs := second.PluginRuns[n.Plugin]; runs != 1 {
			t.Errorf("the plugin ran %d times, want 1", runs)
		}
		if len(passwords(append(first.Answers, second.Answers...))) != 1 {
			t.Error("the second image got another password than the first")
		}
	})
}

// A restarted kubelet has forgotten everything. The plugin has not.
func TestARestartedKubeletCausesNoCall(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		first := startKubelet(t, n.nodeSample()).pull(n.images(1)...)
		n.Cloud.Calls.Reset()

		second := startKubelet(t, n.nodeSample()).pull(n.images(1)...)

		n.wantAll(second.Answers, n.Machine.Owner)
		n.wantCalls()
		if runs := second.PluginRuns[n.Plugin]; runs != 1 {
			t.Errorf("the plugin ran %d times for the second kubelet, want 1", runs)
		}
		if len(passwords(append(first.Answers, second.Answers...))) != 1 {
			t.Error("the second kubelet got another password than the first")
		}
		t.Logf("cold %s, warm %s", first.Answers[0].Elapsed, second.Answers[0].Elapsed)
	})
}

// Every shape that a registry's name has is matched by the sample. Patterns
// match as many labels as they have, so that one for a host is none for its
// regional endpoints.
func TestEveryRegistryOfTheSampleIsAnswered(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		const registries = 16
		numbers := make([]int, registries)
		for i := range numbers {
			numbers[i] = i
		}

		done := startKubelet(t, n.nodeSample()).pull(n.images(registries, numbers...)...)

		n.wantAll(done.Answers, n.Machine.Owner)
		if runs := done.PluginRuns[n.Plugin]; runs != registries {
			t.Errorf("the plugin ran %d times, want %d", runs, registries)
		}
	})
}
