package node_test

import (
	corev1 "k8s.io/api/core/v1"
)

// A secret's credential is tried first. That it is no good for the registry
// does not keep the plugin's from being tried.
func secretAndPlugin(n *node) {
	private, own := n.newImage(), ownRegistry+"/app:v1"
	n.push(own)
	n.addPullSecret(n.namespace, "logins", map[string]login{
		ownRegistry:   {ownUser, ownPassword},
		host(private): {"somebody", "a-password-that-is-long-gone"},
	})
	pod := n.pod("app", own, private)
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "logins"}}
	n.run(pod)
	n.wantRunning(pod)
	if !n.registryRefused(host(private)) {
		n.t.Error("the registry has refused nothing: the secret's credential was not tried")
	}
	n.wantGetToTryTheSecretFirst(pod, private)
}
