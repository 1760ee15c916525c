package ecr_test

import (
	"os"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
)

const (
	registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	ecrAPI   = "api.ecr.us-east-1.amazonaws.com"
	stsAPI   = "sts.us-east-1.amazonaws.com"

	// nodeRole is attached to the instance.
	nodeRole = "arn:aws:iam::123456789012:role/instance"
)

// node is a machine in AWS that has just booted: its instance role may ask for
// tokens of private registries, and nothing is cached.
type node struct {
	t     *testing.T
	cloud *cloud.Cloud
	aws   *aws.Fake
}

// bootNode starts a node that lives as long as the test, in an AWS of the
// regions, or of us-east-1 when there are none.
func bootNode(t *testing.T, regions ...string) *node {
	t.Helper()
	// Go repeats a test's old result unless a file that the test looked at
	// has changed.
	if _, err := os.Stat(plugin); err != nil {
		t.Fatal(err)
	}
	c := cloudtest.New(t)
	n := &node{t: t, cloud: c, aws: aws.New(c.Calls, c.Faults)}
	if len(regions) == 0 {
		regions = []string{"us-east-1"}
	}
	if err := n.aws.Place(c, regions...); err != nil {
		t.Fatal(err)
	}
	n.attach(nodeRole, aws.ECRToken)
	return n
}

// in is the node as a subtest sees it.
func (n *node) in(t *testing.T) *node {
	return &node{t: t, cloud: n.cloud, aws: n.aws}
}

// attach gives the instance a role that may do what is listed.
func (n *node) attach(role string, allow ...aws.Action) {
	n.aws.AddRole(aws.Role{ARN: role, Allow: allow})
	n.aws.Configure(func(s *aws.Settings) { s.Instance.Role = role })
}

// calls is what the cloud was asked, in order: "SERVICE OPERATION HOST".
type calls = cloudtest.Calls

// askIMDS is what it takes to get the instance's credentials.
var askIMDS = calls{
	"imds PutToken 169.254.169.254",
	"imds ListRoles 169.254.169.254",
	"imds GetRole 169.254.169.254",
}

// askECR is one question for a token of a private registry.
func askECR(host string) calls { return calls{"ecr GetAuthorizationToken " + host} }

// askPublic is one question for a token of the public registry.
func askPublic(host string) calls { return calls{"ecr-public GetAuthorizationToken " + host} }

// askSTS is one question for a session of a role.
func askSTS(operation, host string) calls { return calls{"sts " + operation + " " + host} }

// wantCalls fails the test unless the cloud was asked exactly that since the
// last time.
func (n *node) wantCalls(want ...calls) {
	n.t.Helper()
	cloudtest.WantCalls(n.t, n.cloud, want...)
}

// summaries says who asked for what in the calls of one operation.
func (n *node) summaries(service, operation string) []string {
	return cloudtest.Summaries(n.cloud, service, operation)
}
