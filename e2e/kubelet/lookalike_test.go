package kubelet_test

import (
	"strings"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"
)

// With matchImages as broad as kubelet allows, only the plugin stands between
// a host and the node's token.
func TestALookAlikeHostGetsNothingAndCausesNoCall(t *testing.T) {
	hosts := []string{
		// Other registries.
		"registry.k8s.io", "docker.io", "us-docker.pkg.dev", "example.azurecr.io", "192.0.2.10",
		// Somebody's host that begins as, ends as or contains ours.
		registry + ".evil.com",
		registry + "evil.com",
		"evil." + registry,
		"evil-" + registry,
		"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn.evil.com",
		"123456789012.dkr.ecr.us-east-1.evil.amazonaws.com",
		"123456789012.dkr.ecr.amazonaws.com",
		"dkr.ecr.us-east-1.amazonaws.com",
		"evil.com/" + registry,
		"public.ecr.aws.evil.com",
		"evilpublic.ecr.aws",
		// Account numbers have twelve digits.
		"12345678901.dkr.ecr.us-east-1.amazonaws.com",
		"1234567890123.dkr.ecr.us-east-1.amazonaws.com",
		"12345678901a.dkr.ecr.us-east-1.amazonaws.com",
		// Other services of the same cloud.
		"123456789012.s3.us-east-1.amazonaws.com",
		"123456789012.dkr.ecs.us-east-1.amazonaws.com",
		"bucket.s3.amazonaws.com",
		// A partition's suffix under another partition's region.
		"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com",
		// One shape's label before the other shape's suffix.
		"123456789012.dkr.ecr.us-east-1.on.aws",
		"123456789012.dkr-ecr.us-east-1.amazonaws.com",
		// A region that nobody has.
		"123456789012.dkr.ecr.evil.amazonaws.com",
	}
	node := bootNode(t)
	kubelet := startKubelet(t, changed(t, nodeSample, matchEverything))

	var images []string
	for _, host := range hosts {
		images = append(images, host+"/app")
	}
	done := kubelet.pull(images...)

	for i, answer := range done.Answers {
		if answer.Found {
			t.Errorf("%s: kubelet would send %d credentials", images[i], len(answer.Credentials))
		}
	}
	if runs := done.PluginRuns[pluginName]; runs != len(images) {
		t.Errorf("kubelet ran the plugin %d times for %d images: it did not ask about all", runs, len(images))
	}
	if failed := failures(done); len(failed) != 0 {
		t.Errorf("kubelet logged %q, want no failure: the image is none of the plugin's business", failed)
	}
	node.wantCalls(calls{})
}

// matchEverything matches hosts of up to twelve labels: a pattern matches only
// as many labels as it has.
func matchEverything(provider *kubeletconfig.CredentialProvider) {
	provider.MatchImages = nil
	for labels := range 12 {
		provider.MatchImages = append(provider.MatchImages, "*"+strings.Repeat(".*", labels))
	}
}
