package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
)

// awsNode is a machine in AWS. What is about the core and no cloud is tested on
// one, too.
type awsNode struct {
	*node
	aws *aws.Fake
}

func bootAWS(t *testing.T) *awsNode {
	t.Helper()
	f, booted, err := aws.Boot(cloudtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	return &awsNode{&node{booted, t}, f}
}
