package node_test

import (
	"strings"
)

func failureIsLogged(n *node) {
	says := n.account.loseIdentity()
	image, errors := n.newImage(), n.pluginErrors()
	pod := n.pod("app", image)
	n.run(pod)
	n.wantRefused(pod, "failed to pull")
	if n.pluginErrors() == errors {
		n.t.Error("the kubelet counted no error of the plugin")
	}
	complaints := n.complaints(image)
	if len(complaints) == 0 {
		n.t.Fatal("the kubelet's log says nothing of the plugin's failure")
	}
	n.t.Logf("the kubelet's log: %s", complaints[0])
	for _, complaint := range complaints {
		if strings.Contains(complaint, "\n") {
			n.t.Errorf("the plugin wrote more than a line: %s", complaint)
		}
	}
	for _, word := range append(says, n.vendor.plugin+": "+host(image)+": ") {
		if !strings.Contains(complaints[0], word) {
			n.t.Errorf("the plugin does not say %q: %s", word, complaints[0])
		}
	}
	n.reportMetrics()
}
