package node_test

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// What becomes of a pod's image the tool says before, by the same token and the
// same pull secrets.
func getSaysWhatBecomesOfAPod(n *node) {
	host := n.newRegistry()
	webImage := n.readable(host+"/"+n.Repository+"/web:v1", n.owners[shop])
	batchImage := n.readable(host+"/"+n.Repository+"/batch:v1", n.owners[jobs])
	own, foreign := workloadPod(shop, web, "asked-own", webImage), workloadPod(shop, web, "asked-foreign", batchImage)
	n.run(own, foreign)
	n.wantRunning(own)
	n.wantRefused(foreign, n.refusal(shop, batchImage))

	code, stdout, _ := n.regcred("get", "--pull", "--pod", shop+"/"+own.Name)
	if code != 0 || !strings.Contains(stdout, "the registry takes the credential of provider "+n.Plugin) || !strings.Contains(stdout, "service account "+shop+"/"+web) {
		n.t.Errorf("its own image: exit code %d", code)
	}
	code, stdout, _ = n.regcred("get", "--pull", "--pod", shop+"/"+foreign.Name)
	if code != 1 || !strings.Contains(stdout, "refused: the registry refuses it") || !strings.Contains(stdout, n.refusal(shop, batchImage)) {
		n.t.Errorf("another's image: exit code %d", code)
	}
	code, stdout, _ = n.regcred("exec", "--pod", shop+"/"+own.Name, webImage, "--", "sh", "-c", `printf %s "$CRICTL_CREDS"`)
	user, password, _ := strings.Cut(stdout, ":")
	if owner, err := n.Whose(repository(webImage), user, password); code != 0 || err != nil || owner != n.owners[shop] {
		n.t.Errorf("exec: exit code %d, a login of %q, %v", code, owner, err)
	}
}

// A node may request no token for an audience that it was not granted.
func (n *node) wantGetToMissGrant(pod *corev1.Pod) {
	n.t.Helper()
	code, stdout, _ := n.regcred("get", "--pod", pod.Namespace+"/"+pod.Name)
	if code != 1 || !strings.Contains(stdout, "grant group system:nodes the verb request-serviceaccounts-token-audience") {
		n.t.Errorf("get without the grant: exit code %d", code)
	}
}

// A pod's secret comes first for the tool, too.
func (n *node) wantGetToTryTheSecretFirst(pod *corev1.Pod, image string) {
	n.t.Helper()
	code, stdout, _ := n.regcred("get", "--pull", "--pod", pod.Namespace+"/"+pod.Name, image)
	if code != 0 || !strings.Contains(stdout, "1. pull secret "+pod.Namespace+"/logins: ") || !strings.Contains(stdout, "provider "+n.Plugin+", after it has refused 1") {
		n.t.Errorf("get for a pod with a secret: exit code %d", code)
	}
}
