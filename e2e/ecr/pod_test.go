package ecr_test

import (
	"time"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/oidc"
)

const (
	roleAnnotation = "eks.amazonaws.com/ecr-role-arn"
	stsAudience    = "sts.amazonaws.com"

	shopRole  = "arn:aws:iam::123456789012:role/pull-shop"
	batchRole = "arn:aws:iam::210987654321:role/pull-batch"
)

// Two workloads, of which each has a role of its own.
var (
	shop = oidc.ServiceAccount{
		Namespace: "shop", Name: "web", UID: "8f0e1b1c-3c4f-4b55-9a1d-0c3f6a1f2b10",
		Pod: "web-0", PodUID: "5d8c7a52-6e0b-4d2e-8f33-1b2a9c4d5e6f", Node: "node1", NodeUID: "0b1c2d3e-4f50-4162-9374-85960718293a",
	}
	batch = oidc.ServiceAccount{
		Namespace: "jobs", Name: "batch", UID: "c2a3b4c5-d6e7-4890-a1b2-c3d4e5f60718",
		Pod: "batch-0", PodUID: "11f2e3d4-c5b6-47a8-9988-776655443322", Node: "node1", NodeUID: "0b1c2d3e-4f50-4162-9374-85960718293a",
	}
)

// pod is a pod with a token as the kubelet gets it for STS.
type pod struct {
	oidc.ServiceAccount
	token string
}

func (n *node) pod(account oidc.ServiceAccount) pod {
	return n.podWith(account, stsAudience, time.Hour)
}

func (n *node) podWith(account oidc.ServiceAccount, audience string, life time.Duration) pod {
	n.t.Helper()
	token, err := n.aws.Issuer.Token(account, audience, life)
	if err != nil {
		n.t.Fatal(err)
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
