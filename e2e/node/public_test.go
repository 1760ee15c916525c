package node_test

import (
	"slices"

	kubeletconfig "k8s.io/kubelet/config/v1"
)

// The plugin fails, and the kubelet pulls as nobody: an answer without a
// password that is any good would keep it from that. This comes before the
// kubelet may have a credential for the registry.
func pullsPublicWithoutIdentity(n *node) {
	n.Lose()
	public := n.publicImage("alone")
	runs := n.pluginRuns()
	pod := n.pod("app", public)
	n.run(pod)
	n.wantRunning(pod)
	if n.pluginRuns() == runs {
		n.t.Error("the kubelet did not ask the plugin")
	}
	n.wantSentNothing(host(public))
}

// The plugin is asked about the cloud's own public registry, where the node may
// have no right to a token. It is not asked about the other one.
func pullsPublicBesidePrivate(n *node) {
	foreign := "registry.k8s.io/app:v1"
	n.push(foreign)
	pod := n.pod("app", n.publicImage("beside"), n.newImage(), foreign)
	n.run(pod)
	n.wantRunning(pod)
	n.wantSentNothing(host(foreign))
}

// An operator has let the kubelet ask the plugin about the host, too.
func lookAlikeIsSentNothing(n *node) {
	n.reconfigureKubelet(func(provider *kubeletconfig.CredentialProvider) {
		provider.MatchImages = slices.Concat([]string{n.LookAlike}, provider.MatchImages)
	})
	before := n.cloudCalls()
	pod := n.pod("app", n.LookAlike+"/"+n.Repository+"/app:v1")
	n.run(pod)
	n.wantRefused(pod, "failed to pull")

	if runs := n.pluginRuns(); runs == 0 {
		n.t.Error("the kubelet did not ask the plugin")
	}
	if asked := n.cloudCalls() - before; asked != 0 {
		n.t.Errorf("the cloud was asked %d times, want never", asked)
	}
	n.wantSentNothing(n.LookAlike)
}
