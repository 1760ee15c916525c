package ecr_test

import (
	"time"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

const (
	roleAnnotation = aws.RoleAnnotation
	stsAudience    = "sts.amazonaws.com"

	shopRole  = "arn:aws:iam::123456789012:role/pull-shop"
	batchRole = "arn:aws:iam::210987654321:role/pull-batch"
)

// Two workloads.
var shop, batch = fake.Shop, fake.Jobs

// pod is a pod with a token as the kubelet gets it for STS.
type pod struct {
	oidc.ServiceAccount
	token string
}

func (n *node) pod(account oidc.ServiceAccount) pod {
	return n.podWith(account, stsAudience, time.Hour)
}

func (n *node) podWith(account oidc.ServiceAccount, audience string, life time.Duration) pod {
	n.T.Helper()
	token, err := n.aws.Issuer.Token(account, audience, life)
	if err != nil {
		n.T.Fatal(err)
	}
	return pod{account, token}
}

// question asks for an image in the name of the pod.
func (p pod) question(image string, args ...string) question {
	return question{Image: image, Token: p.token, Args: args}
}

// as asks with a role in the service account's annotation.
func (q question) as(role string) question {
	q.Annotations = map[string]string{roleAnnotation: role}
	return q
}

// addRole makes a role that may ask for tokens and trusts one service account.
func (n *node) addRole(role string, trusted oidc.ServiceAccount) {
	n.aws.AddRole(aws.Role{ARN: role, Allow: []aws.Action{aws.ECRToken}, Subjects: []string{trusted.Subject()}})
}
