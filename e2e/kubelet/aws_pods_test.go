package kubelet_test

import (
	"slices"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud/aws"
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
func (n *awsNode) addWorkload(namespace, name, role string) wire.ServiceAccount {
	n.aws.AddRole(aws.Role{
		ARN:      role,
		Allow:    []aws.Action{aws.ECRToken},
		Subjects: []string{"system:serviceaccount:" + namespace + ":" + name},
	})
	return serviceAccount(namespace, name, roleAnnotation, role)
}

// askPod is what it takes to get one service account's credential, once: the
// instance's own identity has no part in it.
var askPod = calls{
	"sts AssumeRoleWithWebIdentity": 1,
	"ecr GetAuthorizationToken":     1,
}

// Two service accounts that may assume one role share no credential.
func TestServiceAccountsThatShareARoleShareNoCredential(t *testing.T) {
	node := bootAWS(t)
	accounts := []wire.ServiceAccount{node.addWorkload("shop", "web", webRole), node.addWorkload("bank", "web", webRole)}
	node.aws.AddRole(aws.Role{ARN: webRole, Allow: []aws.Action{aws.ECRToken}, Subjects: []string{
		"system:serviceaccount:shop:web", "system:serviceaccount:bank:web",
	}})

	var all []wire.Answer
	for _, account := range accounts {
		kubelet := startKubelet(t, node.podsSample(), account)
		done := kubelet.lookup(node.podsOf(account, node.images(1)...)...)
		node.wantAll(done.Answers, webRole)
		node.wantCalls(askPod)
		all = append(all, done.Answers...)
	}
	if different := len(passwords(all)); different != len(accounts) {
		t.Errorf("%d service accounts got %d different passwords", len(accounts), different)
	}
}

// A pod has its own identity or none: the node's is not lent.
func TestAPodThatAWSRefusesGetsNothing(t *testing.T) {
	tests := []struct {
		name    string
		account func(*awsNode) wire.ServiceAccount
		calls   calls
		says    []string
	}{
		{
			name: "the role trusts another service account",
			account: func(n *awsNode) wire.ServiceAccount {
				account := n.addWorkload("shop", "web", webRole)
				n.addWorkload("shop", "batch", webRole)
				return account
			},
			calls: calls{"sts AssumeRoleWithWebIdentity": 1},
			says:  []string{"sts", "sts.us-east-1.amazonaws.com", "AccessDenied", "shop/web", webRole},
		},
		{
			name: "the role may not read ECR",
			account: func(n *awsNode) wire.ServiceAccount {
				account := n.addWorkload("shop", "web", webRole)
				n.aws.AddRole(aws.Role{ARN: webRole, Subjects: []string{"system:serviceaccount:shop:web"}})
				return account
			},
			calls: askPod,
			says:  []string{"ecr", "api.ecr.us-east-1.amazonaws.com", "AccessDeniedException", "shop/web", "role/pull-web"},
		},
		{
			name:    "the annotation is no role",
			account: func(*awsNode) wire.ServiceAccount { return serviceAccount("shop", "web", roleAnnotation, "pull-web") },
			calls:   calls{},
			says:    []string{"shop/web", roleAnnotation},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootAWS(t)
			account := test.account(node)
			kubelet := startKubelet(t, node.podsSample(), account)

			done := kubelet.lookup(node.podsOf(account, node.images(1)...)...)

			node.wantAll(done.Answers, "nobody's")
			node.wantCalls(test.calls)
			node.wantOneFailure(done, test.says...)
		})
	}
}

// The variable of the plugin that this one stands in for.
func TestTheVariableGivesARoleToPodsThatNameNone(t *testing.T) {
	node := bootAWS(t)
	node.addWorkload("shop", "batch", batchRole)
	batch, web := serviceAccount("shop", "batch"), node.addWorkload("shop", "web", webRole)
	kubelet := startKubelet(t, node.podsSample(func(provider *kubeletconfig.CredentialProvider) {
		provider.Env = append(provider.Env, kubeletconfig.ExecEnvVar{Name: "AWS_ECR_ROLE_ARN", Value: batchRole})
	}), web, batch)

	done := kubelet.lookup(slices.Concat(
		node.podsOf(batch, node.images(1)...),
		node.podsOf(web, node.images(1)...),
	)...)

	node.wantAll(done.Answers[:1], batchRole)
	node.wantAll(done.Answers[1:], webRole)
}
