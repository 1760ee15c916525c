package kubelet_test

import "testing"

// With matchImages as broad as kubelet allows, only the plugin stands between
// a host and the node's token. The plugin that GKE's nodes have answers all of
// these.
func TestAHostThatLooksLikeGooglesGetsNothing(t *testing.T) {
	hosts := []string{
		"registry.k8s.io", "docker.io", "123456789012.dkr.ecr.us-east-1.amazonaws.com", "example.azurecr.io", "192.0.2.10",
		"gcr.io.evil.com", "evilgcr.io", "evil-gcr.io", "a.b.gcr.io", "gcr.io:5000",
		"us-docker.pkg.dev.evil.com", "us-docker.evil-pkg.dev", "us-docker-pkg.dev", "evil.us-docker.pkg.dev",
		"us-maven.pkg.dev", "docker.pkg.dev", "us-central1.rep.pkg.dev", "docker.a.b.rep.pkg.dev",
		"container.cloud.google.com.evil.com", "foo.google.com", "evil.com/gcr.io",
		"docker.s3nsregistry.fr", "docker.pkg-berlin-build0.goog", "docker.evil.goog",
	}
	node := bootGCRNode(t)
	kubelet := startKubelet(t, changed(t, gcrNodeSample, matchEverything))
	var images []string
	for _, host := range hosts {
		images = append(images, host+"/project/app")
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
	node.wantCalls(calls{})
}
