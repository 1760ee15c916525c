package node_test

var awsAsNode = []testCase{
	{"ECR Public is sent nothing by a node that may have none of its tokens", publicRegistryIsSentNothing},
}

func publicRegistryIsSentNothing(n *node) {
	public := n.publicImage("aws")
	pod := n.pod("app", public)
	n.run(pod)
	n.wantRunning(pod)
	if n.Cloud.Calls.Count("ecr-public", "") == 0 {
		n.t.Error("the plugin did not ask for a token")
	}
	n.wantSentNothing(host(public))
}
