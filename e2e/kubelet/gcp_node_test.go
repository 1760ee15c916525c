package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

// gcpNode is a machine in Google Cloud.
type gcpNode struct {
	*node
	gcp *gcp.Fake
}

func bootGCP(t *testing.T) *gcpNode {
	t.Helper()
	f, booted, err := gcp.Boot(cloudtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	return &gcpNode{&node{booted, t}, f}
}
