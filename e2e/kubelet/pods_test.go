package kubelet_test

import (
	"slices"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/kubelet/wire"
)

func TestAPodGetsTheCredentialOfItsServiceAccountsRole(t *testing.T) {
	node := bootNode(t)
	web := node.addWorkload("shop", "web", webRole)
	kubelet := startKubelet(t, podsSample, web)

	done := kubelet.lookup(node.podsOf(web, registry+"/team/app:v1")...)

	node.wantAll(done.Answers, webRole)
	node.wantCalls(askPod)
	for _, credential := range done.Answers[0].Credentials {
		if credential.ServiceAccount != "shop/web" {
			t.Errorf("kubelet ties the credential to %q, want shop/web", credential.ServiceAccount)
		}
	}
}

// Every pod's token is another one, and still the cloud is asked once for each
// service account.
func TestServiceAccountsAtOnceGetEachTheirOwn(t *testing.T) {
	const each = 20
	node := bootNode(t)
	node.slowDown()
	web := node.addWorkload("shop", "web", webRole)
	batch := node.addWorkload("shop", "batch", batchRole)
	kubelet := startKubelet(t, podsSample, web, batch)

	done := kubelet.lookup(slices.Concat(
		node.podsOf(web, images(each)...),
		node.podsOf(batch, images(each)...),
	)...)

	if runs := done.PluginRuns[pluginName]; runs != 2*each {
		t.Fatalf("kubelet ran the plugin %d times, want %d", runs, 2*each)
	}
	node.wantAll(done.Answers[:each], webRole)
	node.wantAll(done.Answers[each:], batchRole)
	node.wantCalls(calls{
		"sts AssumeRoleWithWebIdentity": 2,
		"ecr GetAuthorizationToken":     2,
	})
}

// The same name in another namespace is another service account, and so is one
// that was deleted and made again.
func TestServiceAccountsThatShareANameAndARoleShareNoCredential(t *testing.T) {
	node := bootNode(t)
	first := node.addWorkload("shop", "web", webRole)
	other := node.addWorkload("bank", "web", webRole)
	node.aws.AddRole(aws.Role{ARN: webRole, Allow: []aws.Action{aws.ECRToken}, Subjects: []string{
		"system:serviceaccount:shop:web", "system:serviceaccount:bank:web",
	}})
	again := first
	again.UID = "uid-of-the-second-shop-web"

	var all []wire.Answer
	for _, account := range []wire.ServiceAccount{first, other, again} {
		kubelet := startKubelet(t, podsSample, account)
		done := kubelet.lookup(node.podsOf(account, registry+"/team/app:v1")...)
		node.wantAll(done.Answers, webRole)
		node.wantCalls(askPod)
		all = append(all, done.Answers...)
	}
	if different := len(passwords(all)); different != 3 {
		t.Errorf("3 service accounts got %d different passwords", different)
	}
}

// A pod has its own identity or none: the node's is not lent.
func TestAPodWithoutARoleGetsNothing(t *testing.T) {
	tests := []struct {
		name    string
		account func(*node) wire.ServiceAccount
		calls   calls
		says    []string
	}{
		{
			name: "the service account names no role",
			account: func(*node) wire.ServiceAccount {
				return wire.ServiceAccount{Namespace: "shop", Name: "web", UID: "uid-of-shop-web"}
			},
			calls: calls{},
			says:  []string{"shop/web", roleAnnotation},
		},
		{
			name: "the role trusts another service account",
			account: func(n *node) wire.ServiceAccount {
				account := n.addWorkload("shop", "web", webRole)
				n.addWorkload("shop", "batch", webRole)
				return account
			},
			calls: calls{"sts AssumeRoleWithWebIdentity": 1},
			says:  []string{"sts", "sts.us-east-1.amazonaws.com", "AccessDenied", "shop/web", webRole},
		},
		{
			name: "the role may not read ECR",
			account: func(n *node) wire.ServiceAccount {
				account := n.addWorkload("shop", "web", webRole)
				n.aws.AddRole(aws.Role{ARN: webRole, Subjects: []string{"system:serviceaccount:shop:web"}})
				return account
			},
			calls: askPod,
			says:  []string{"ecr", "api.ecr.us-east-1.amazonaws.com", "AccessDeniedException", "shop/web", webRole},
		},
		{
			name: "the annotation is no role",
			account: func(*node) wire.ServiceAccount {
				return wire.ServiceAccount{
					Namespace: "shop", Name: "web", UID: "uid-of-shop-web",
					Annotations: map[string]string{roleAnnotation: "pull-web"},
				}
			},
			calls: calls{},
			says:  []string{"shop/web", roleAnnotation},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootNode(t)
			account := test.account(node)
			kubelet := startKubelet(t, podsSample, account)

			done := kubelet.lookup(node.podsOf(account, registry+"/team/app:v1")...)

			if got := node.whose(done.Answers[0]); got != "nobody's" {
				t.Errorf("the credential is %s", got)
			}
			node.wantCalls(test.calls)
			if counted := done.PluginErrors[pluginName]; counted != 1 {
				t.Errorf("kubelet counted %d errors of the plugin, want 1", counted)
			}
			failed := failures(done)
			if len(failed) != 1 {
				t.Fatalf("kubelet logged %q, want one failure", failed)
			}
			wantLine(t, said(t, failed[0]), test.says...)
		})
	}
}

// Whoever wants pods without a role to pull as the node has to say so, and gets
// no more than that: a role that is named and refused stays refused.
func TestNodeFallbackIsForPodsThatNameNoRole(t *testing.T) {
	node := bootNode(t)
	none := wire.ServiceAccount{Namespace: "shop", Name: "none", UID: "uid-of-shop-none"}
	refused := node.addWorkload("shop", "refused", webRole)
	node.aws.AddRole(aws.Role{ARN: webRole, Allow: []aws.Action{aws.ECRToken}})
	kubelet := startKubelet(t, changed(t, podsSample, func(provider *kubeletconfig.CredentialProvider) {
		provider.Args = append(provider.Args, "--node-fallback")
	}), none, refused)

	done := kubelet.lookup(slices.Concat(
		node.podsOf(none, images(1)...),
		node.podsOf(refused, images(1)...),
	)...)

	node.wantAll(done.Answers[:1], nodeRole)
	node.wantAll(done.Answers[1:], "nobody's")
}

// The variable of the plugin that this one stands in for.
func TestTheVariableGivesARoleToPodsThatNameNone(t *testing.T) {
	node := bootNode(t)
	node.addWorkload("shop", "batch", batchRole)
	batch := wire.ServiceAccount{Namespace: "shop", Name: "batch", UID: "uid-of-shop-batch"}
	web := node.addWorkload("shop", "web", webRole)
	kubelet := startKubelet(t, changed(t, podsSample, func(provider *kubeletconfig.CredentialProvider) {
		provider.Env = append(provider.Env, kubeletconfig.ExecEnvVar{Name: "AWS_ECR_ROLE_ARN", Value: batchRole})
	}), web, batch)

	done := kubelet.lookup(slices.Concat(
		node.podsOf(batch, images(1)...),
		node.podsOf(web, images(1)...),
	)...)

	node.wantAll(done.Answers[:1], batchRole)
	node.wantAll(done.Answers[1:], webRole)
}

// Static pods have no service account. The sample lets them use the node's
// identity, which other pods are not given.
func TestStaticPodsAndServiceAccountsAtOnceDoNotMix(t *testing.T) {
	const each = 15
	node := bootNode(t)
	node.slowDown()
	web := node.addWorkload("shop", "web", webRole)
	kubelet := startKubelet(t, podsSample, web)

	done := kubelet.lookup(slices.Concat(
		staticPods(images(each)...),
		node.podsOf(web, images(each)...),
	)...)

	if runs := done.PluginRuns[pluginName]; runs != 2*each {
		t.Fatalf("kubelet ran the plugin %d times, want %d", runs, 2*each)
	}
	node.wantAll(done.Answers[:each], nodeRole)
	node.wantAll(done.Answers[each:], webRole)
	node.wantCalls(calls{
		"imds PutToken":                 1,
		"imds ListRoles":                1,
		"imds GetRole":                  1,
		"sts AssumeRoleWithWebIdentity": 1,
		"ecr GetAuthorizationToken":     2,
	})
}
