package kubelet_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/kubelet/wire"
)

const (
	registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	nodeRole = "arn:aws:iam::123456789012:role/instance"
)

// node is a machine in AWS that has just booted: its instance role may read
// ECR, and nothing is cached.
type node struct {
	t     *testing.T
	cloud *cloud.Cloud
	aws   *aws.Fake
}

// bootNode starts a node that lives as long as the test, in an AWS of the
// regions, or of us-east-1 when there are none.
func bootNode(t *testing.T, regions ...string) *node {
	t.Helper()
	c := cloudtest.New(t)
	n := &node{t: t, cloud: c, aws: aws.New(c.Calls, c.Faults)}
	if len(regions) == 0 {
		regions = []string{"us-east-1"}
	}
	if err := n.aws.Place(c, regions...); err != nil {
		t.Fatal(err)
	}
	n.aws.AddRole(aws.Role{ARN: nodeRole, Allow: []aws.Action{aws.ECRToken}})
	n.aws.Configure(func(s *aws.Settings) { s.Instance.Role = nodeRole })
	return n
}

// slowDown makes ECR take so long that every plugin that is started at once
// waits for the one that asks. Otherwise kubelet would have the answer before it
// has started the last.
func (n *node) slowDown() {
	n.cloud.Faults.Always("ecr", "", cloud.Slow{Delay: 500 * time.Millisecond})
}

// whose is the role whose registry password kubelet would pull with, or a
// description of what it would do instead.
func (n *node) whose(answer wire.Answer) string {
	switch {
	case !answer.Found:
		return "nobody's"
	case len(answer.Credentials) != 1:
		return fmt.Sprintf("%d credentials", len(answer.Credentials))
	}
	credential := answer.Credentials[0]
	if credential.Username != "AWS" {
		return fmt.Sprintf("user %q", credential.Username)
	}
	token, issued := n.aws.Token(credential.Password)
	if !issued || token.Service != "ecr" || token.Region != "us-east-1" {
		return "not a password of the registry"
	}
	return token.Principal.Role
}

// wantAll fails the test for every answer that is not the role's credential.
func (n *node) wantAll(answers []wire.Answer, role string) {
	n.t.Helper()
	for i, answer := range answers {
		if got := n.whose(answer); got != role {
			n.t.Errorf("answer %d of %d is %s, want %s", i+1, len(answers), got, role)
		}
	}
}

// askNode is what it takes to get the node's credential, once.
var askNode = calls{
	"imds PutToken":             1,
	"imds ListRoles":            1,
	"imds GetRole":              1,
	"ecr GetAuthorizationToken": 1,
}

// wantCalls fails the test unless the cloud was asked exactly that since the
// last time.
func (n *node) wantCalls(want calls) {
	n.t.Helper()
	wantCalls(n.t, n.cloud, want)
}

// images are distinct images of the one registry.
func images(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s/team/app-%d:v1.2.%d", registry, i, i)
	}
	return names
}

// passwords are the distinct passwords among answers.
func passwords(answers []wire.Answer) []string {
	var all []string
	for _, answer := range answers {
		for _, credential := range answer.Credentials {
			all = append(all, credential.Password)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
