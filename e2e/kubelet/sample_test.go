package kubelet_test

import "testing"

func TestTheSampleConfigurationGetsTheNodesCredential(t *testing.T) {
	node := bootNode(t)
	kubelet := startKubelet(t, nodeSample)

	done := kubelet.pull(registry + "/team/app:v1")

	node.wantAll(done.Answers, nodeRole)
	node.wantCalls(askNode)
	if len(done.Log) != 0 {
		t.Errorf("kubelet logged %q", done.Log)
	}
}

// Kubelet keeps the answer for the whole registry.
func TestAnotherImageOfTheRegistryTakesNoSecondRun(t *testing.T) {
	node := bootNode(t)
	kubelet := startKubelet(t, nodeSample)
	first := kubelet.pull(registry + "/team/app:v1")
	node.wantCalls(askNode)

	second := kubelet.pull(registry + "/another/team/tool@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7")

	node.wantAll(second.Answers, nodeRole)
	node.wantCalls(calls{})
	if runs := second.PluginRuns[pluginName]; runs != 1 {
		t.Errorf("the plugin ran %d times, want 1", runs)
	}
	if len(passwords(append(first.Answers, second.Answers...))) != 1 {
		t.Error("the second image got another password than the first")
	}
}

// A restarted kubelet has forgotten everything. The plugin has not.
func TestARestartedKubeletCausesNoCall(t *testing.T) {
	node := bootNode(t)
	first := startKubelet(t, nodeSample).pull(registry + "/team/app:v1")
	node.wantCalls(askNode)

	second := startKubelet(t, nodeSample).pull(registry + "/team/app:v1")

	node.wantAll(second.Answers, nodeRole)
	node.wantCalls(calls{})
	if runs := second.PluginRuns[pluginName]; runs != 1 {
		t.Errorf("the plugin ran %d times for the second kubelet, want 1", runs)
	}
	if len(passwords(append(first.Answers, second.Answers...))) != 1 {
		t.Error("the second kubelet got another password than the first")
	}
	t.Logf("cold %s, warm %s", first.Answers[0].Elapsed, second.Answers[0].Elapsed)
}
