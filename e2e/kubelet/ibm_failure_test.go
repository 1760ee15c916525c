package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/ibm"
)

// ibmNode is a virtual server of VPC.
type ibmNode struct {
	*node
	ibm *ibm.Fake
}

func bootIBM(t *testing.T) *ibmNode {
	t.Helper()
	f, booted, err := ibm.Boot(cloudtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	return &ibmNode{&node{booted, t}, f}
}

func TestAFailureOfIBMsIsOneLineInKubeletsLog(t *testing.T) {
	tests := []struct {
		name   string
		broken func(*ibmNode)
		says   []string
	}{
		{"no link", func(n *ibmNode) { n.Lose() }, []string{"is not linked to this machine", "400 profile_not_linked", "request id "}},
		{"a metadata service that is off", func(n *ibmNode) {
			n.Cloud.Faults.Always("metadata", "", cloud.Hang{})
		}, []string{"accepted the connection and did not answer", "enable the metadata service of this machine"}},
		{"a metadata service that says so", func(n *ibmNode) {
			n.ibm.Configure(func(s *ibm.Settings) { s.Machine.Disabled = true })
		}, []string{"403 unauthorized", "enable it for this machine"}},
		{"throttled", func(n *ibmNode) {
			n.Cloud.Faults.Always("metadata", "", cloud.Refusal{Status: 429, Code: "too_many_requests"})
		}, []string{"VPC's metadata service throttles requests", "429"}},
		{"an empty object", func(n *ibmNode) {
			n.ibm.Configure(func(s *ibm.Settings) { s.Metadata.Shape = fake.NoFields })
		}, []string{"no token"}},
		{"an empty token", func(n *ibmNode) {
			n.ibm.Configure(func(s *ibm.Settings) { s.Metadata.Shape = fake.EmptyToken })
		}, []string{"no token"}},
		{"a token that has ended", func(n *ibmNode) {
			n.ibm.Configure(func(s *ibm.Settings) { s.Metadata.Shape = fake.ExpiredLong })
		}, []string{"already expired", "check the node's clock"}},
		{"out of order", func(n *ibmNode) {
			n.Cloud.Faults.Always("metadata", "CreateIAMToken", cloud.Refusal{Status: 503})
		}, []string{"VPC's metadata service has a fault", "503"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootIBM(t)
			test.broken(node)

			done := startKubelet(t, node.nodeSample()).pull(node.images(1)...)

			node.wantAll(done.Answers, "nobody's")
			node.wantOneFailure(done, append(test.says, node.Registry(0)+": ")...)
		})
	}
}
