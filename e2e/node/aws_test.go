package node_test

var awsAsNode = []testCase{
	{"the tool adds a provider to a directory of configurations", installedIntoADirectory},
	{"the tool installs the plugin in the place of a vendor's, and takes it away", installedByTheTool},
	{"ECR Public is sent nothing by a node that may have none of its tokens", publicRegistryIsSentNothing},
	{"images that were pulled before run without a cloud", prepulledImagesRun},
	{"the images of the node's pods are pulled by name", prepullsWhatPodsHave},
	{"an image that was pulled before is poisoned by another name, and the tool says so", poisonedByAnotherName},
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
