package node_test

// What the kubelet kept is gone; what the plugin kept is not.
func restartedKubelet(n *node) {
	host := n.newRegistry()
	first := n.pod("before", n.imageOf(host, "before"))
	n.run(first)
	n.wantRunning(first)
	before := n.cloudCalls()

	n.restartKubelet()
	second := n.pod("after", n.imageOf(host, "after"))
	n.run(second)
	n.wantRunning(second)
	if runs := n.pluginRuns(); runs != 1 {
		n.t.Errorf("the new kubelet ran the plugin %d times, want 1", runs)
	}
	if asked := n.cloudCalls() - before; asked != 0 {
		n.t.Errorf("the cloud was asked %d times, want never", asked)
	}
}

func cloudIsDown(n *node) {
	host := n.newRegistry()
	first := n.pod("before", n.imageOf(host, "before"))
	n.run(first)
	n.wantRunning(first)

	n.goDown()
	n.restartKubelet()
	second := n.pod("after", n.imageOf(host, "after"))
	n.run(second)
	n.wantRunning(second)
}
