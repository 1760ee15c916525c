package kubelet_test

import (
	"fmt"
	"time"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/kubelet/wire"
)

const roleAnnotation = "eks.amazonaws.com/ecr-role-arn"

// Two workloads that may pull, each with a role of its own.
const (
	webRole   = "arn:aws:iam::123456789012:role/pull-web"
	batchRole = "arn:aws:iam::210987654321:role/pull-batch"
)

// addWorkload makes a service account and a role that may read ECR and trusts
// nobody else.
func (n *node) addWorkload(namespace, name, role string) wire.ServiceAccount {
	account := wire.ServiceAccount{
		Namespace:   namespace,
		Name:        name,
		UID:         "uid-of-" + namespace + "-" + name,
		Annotations: map[string]string{roleAnnotation: role},
	}
	n.aws.AddRole(aws.Role{
		ARN:      role,
		Allow:    []aws.Action{aws.ECRToken},
		Subjects: []string{"system:serviceaccount:" + namespace + ":" + name},
	})
	return account
}

// podsOf are lookups of the images, each for a pod of the service account with
// a token of its own.
func (n *node) podsOf(account wire.ServiceAccount, images ...string) []wire.Lookup {
	n.t.Helper()
	lookups := make([]wire.Lookup, len(images))
	for i, image := range images {
		pod := wire.Pod{
			Namespace:      account.Namespace,
			Name:           fmt.Sprintf("%s-%d", account.Name, i),
			UID:            fmt.Sprintf("uid-of-%s-%s-%d", account.Namespace, account.Name, i),
			ServiceAccount: account.Name,
		}
		token, err := n.aws.Issuer.Token(oidc.ServiceAccount{
			Namespace: account.Namespace, Name: account.Name, UID: account.UID,
			Pod: pod.Name, PodUID: pod.UID,
			Node: "node1", NodeUID: "uid-of-node1",
		}, "sts.amazonaws.com", time.Hour)
		if err != nil {
			n.t.Fatal(err)
		}
		pod.Tokens = map[string]string{"sts.amazonaws.com": token}
		lookups[i] = wire.Lookup{Image: image, Pod: pod}
	}
	return lookups
}

// askPod is what it takes to get one service account's credential, once: the
// instance's own identity has no part in it.
var askPod = calls{
	"sts AssumeRoleWithWebIdentity": 1,
	"ecr GetAuthorizationToken":     1,
}
