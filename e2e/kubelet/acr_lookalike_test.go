package kubelet_test

import "testing"

// With matchImages as broad as kubelet allows, only the plugin stands between a
// host and the node's token. The vendor's plugin answers some of these, and asks
// evilazurecr.io with the node's Entra token.
func TestAHostThatLooksLikeAzuresGetsNothing(t *testing.T) {
	hosts := []string{
		"registry.k8s.io", "docker.io", "123456789012.dkr.ecr.us-east-1.amazonaws.com", "us-docker.pkg.dev", "192.0.2.10",
		"evilazurecr.io", "foo.evilazurecr.io", "foo.azurecr.io.evil.com", "azurecr.io", "foo.azurecr.io.azurecr.cn", "foo.azurecr.com",
		"a.b.azurecr.io", "foo.eastus.azurecr.io", "foo.eastus.data.azurecr.io", "foo.privatelink.azurecr.io",
		"foo.eastus.geo.evil.io", "mcr.microsoft.com", "evil.com/foo.azurecr.io", "foo.azurecr.de",
	}
	node := bootACRNode(t)
	kubelet := startKubelet(t, changed(t, acrNodeSample, matchEverything))
	var images []string
	for _, host := range hosts {
		images = append(images, host+"/team/app")
	}

	done := kubelet.pull(images...)

	for i, answer := range done.Answers {
		if answer.Found {
			t.Errorf("%s: kubelet would send %d credentials", images[i], len(answer.Credentials))
		}
	}
	if failed := failures(done); len(failed) != 0 {
		t.Errorf("kubelet logged %q, want no failure: the image is none of the plugin's business", failed)
	}
	if runs := done.PluginRuns[acrPlugin]; runs != len(images) {
		t.Errorf("kubelet ran the plugin %d times for %d images: it did not ask about all", runs, len(images))
	}
	node.wantCalls(calls{})
}
