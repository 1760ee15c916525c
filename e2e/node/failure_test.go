package node_test

func failureIsLogged(n *node) {
	says := n.Lose()
	image, errors := n.imageOf(n.Registry(0), "app"), n.pluginErrors()
	pod := n.pod("app", image)
	n.run(pod)
	n.wantRefused(pod, "failed to pull")
	if n.pluginErrors() == errors {
		n.t.Error("the kubelet counted no error of the plugin")
	}
	n.wantComplaint(image, says...)
	n.reportMetrics()
}
