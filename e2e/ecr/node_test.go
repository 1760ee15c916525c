package ecr_test

import (
	"testing"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
)

const (
	registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	ecrAPI   = "api.ecr.us-east-1.amazonaws.com"
	stsAPI   = "sts.us-east-1.amazonaws.com"

	// nodeRole is attached to the instance.
	nodeRole = aws.NodeRole
)

// node is a machine in AWS that has just booted: its instance role may ask for
// tokens of private registries, and nothing is cached.
type node struct {
	cloudtest.Runner
	aws *aws.Fake
}

// bootNode starts a node that lives as long as the test, in an AWS of the
// regions, or of us-east-1 when there are none.
func bootNode(t *testing.T, regions ...string) *node {
	t.Helper()
	c := cloudtest.Apart(t)
	n := &node{Runner: cloudtest.Runner{T: t, Cloud: c, Plugin: plugin}, aws: aws.New(c.Calls, c.Faults)}
	if len(regions) == 0 {
		regions = []string{"us-east-1"}
	}
	if err := n.aws.Place(c, regions...); err != nil {
		t.Fatal(err)
	}
	n.attach(nodeRole, aws.ECRToken)
	return n
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

// summaries says who asked for what in the calls of one operation.
func (n *node) summaries(service, operation string) []string {
	return cloudtest.Summaries(n.Cloud, service, operation)
}
