package kubelet_test

import "testing"

func TestTheACRSampleGetsTheNodesToken(t *testing.T) {
	node := bootACRNode(t)
	kubelet := startKubelet(t, acrNodeSample)

	done := kubelet.pull(acrImages(1)...)

	node.wantAll(acrImages(1), done.Answers, acrNodeIdentity.ClientID)
	node.wantCalls(askACRNode)
	if len(done.Log) != 0 {
		t.Errorf("kubelet logged %q", done.Log)
	}

	// Kubelet keeps the answer for the whole registry.
	another := acrRegistry + "/another/tool"
	second := kubelet.pull(another)
	node.wantAll([]string{another}, second.Answers, acrNodeIdentity.ClientID)
	if runs := second.PluginRuns[acrPlugin]; runs != 1 {
		t.Errorf("the plugin ran %d times, want 1", runs)
	}

	// A restarted kubelet has forgotten everything. The plugin has not.
	third := startKubelet(t, acrNodeSample).pull(acrImages(1)...)
	node.wantAll(acrImages(1), third.Answers, acrNodeIdentity.ClientID)
	node.wantCalls(calls{})
	t.Logf("cold %s, warm %s", done.Answers[0].Elapsed, third.Answers[0].Elapsed)
}

// Every shape that a login server has is matched by the sample. Patterns match
// as many labels as they have, so *.azurecr.io is no regional endpoint.
func TestEveryLoginServerOfTheACRSampleIsAnswered(t *testing.T) {
	hosts := []string{
		"example.azurecr.io", "contosoacrregistry-e7ggejfuhzhgedc8.azurecr.io",
		"example.eastus.geo.azurecr.io", "contoso-d7ezgzevdwfvc8ht.westeurope.geo.azurecr.io", "MyRegistry.azurecr.io",
	}
	node := bootACRNode(t)
	var images []string
	for _, host := range hosts {
		image := host + "/team/app:v1"
		server, _ := splitImage(image)
		node.serve(server, acrNodeIdentity.ClientID)
		images = append(images, image)
	}

	done := startKubelet(t, acrNodeSample).pull(images...)

	node.wantAll(images, done.Answers, acrNodeIdentity.ClientID)
	node.wantCalls(calls{"imds GetToken": 1, "acr Exchange": len(hosts)})
	if runs := done.PluginRuns[acrPlugin]; runs != len(hosts) {
		t.Errorf("the plugin ran %d times, want %d", runs, len(hosts))
	}
}
