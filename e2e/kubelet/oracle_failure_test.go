package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oracle"
)

// oracleNode is an instance in Oracle's cloud.
type oracleNode struct {
	*node
	oracle *oracle.Fake
}

func bootOracle(t *testing.T) *oracleNode {
	t.Helper()
	f, booted, err := oracle.Boot(cloudtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	return &oracleNode{&node{booted, t}, f}
}

// The vendor's plugin answers most of these with an empty password, which kubelet
// counts as a success and keeps.
func TestAFailureOfOraclesIsOneLineInKubeletsLog(t *testing.T) {
	tests := []struct {
		name   string
		broken func(*oracleNode)
		says   []string
	}{
		{"no certificate yet", func(n *oracleNode) { n.Lose() }, []string{"imds", "169.254.169.254", "404"}},
		{"a throttled metadata service", func(n *oracleNode) {
			n.Cloud.Faults.Always("imds", "", cloud.Refusal{Status: 429, Code: "Too Many Requests"})
		}, []string{"the instance metadata service throttles requests", "429"}},
		{"a certificate that is not accepted", func(n *oracleNode) {
			n.Cloud.Faults.Always("federation", "", fake.Refuse(401, "NotAuthenticated", "no"))
		}, []string{"does not accept the instance's certificate", "NotAuthenticated", anInstance}},
		{"a policy is missing", func(n *oracleNode) {
			n.Cloud.Faults.Always("ocir", "", oracle.Denied())
		}, []string{"404 NotAuthorizedOrNotFound", "allow dynamic-group GROUP to read repos", "opc-request-id", anInstance}},
		{"an empty object", func(n *oracleNode) {
			n.oracle.Configure(func(s *oracle.Settings) { s.Registry.Shape = fake.NoFields })
		}, []string{"no token"}},
		{"an empty token", func(n *oracleNode) {
			n.oracle.Configure(func(s *oracle.Settings) { s.Registry.Shape = fake.EmptyToken })
		}, []string{"no token"}},
		{"out of order", func(n *oracleNode) {
			n.Cloud.Faults.Always("ocir", "", cloud.Refusal{Status: 503})
		}, []string{"the registry's token service has a fault", "503"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootOracle(t)
			test.broken(node)

			done := startKubelet(t, node.nodeSample()).pull(node.images(1)...)

			node.wantAll(done.Answers, "nobody's")
			node.wantOneFailure(done, append(test.says, node.Registry(0)+": ")...)
		})
	}
}

// anInstance is how every instance's OCID begins.
const anInstance = "ocid1.instance.oc1.iad."
