package ecr_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
)

// Who may not pull with a role does not pull with the node's instead, not even
// where a pod without a role would.
func TestAPodThatSTSRefusesIsRefused(t *testing.T) {
	for _, test := range []struct {
		name string
		ask  func(n *node) question
		says []string
	}{
		{"role of somebody else", func(n *node) question {
			n.addRole(batchRole, batch)
			return n.pod(shop).question(registry + "/app").as(batchRole)
		}, []string{"status 403 AccessDenied", "trust policy", "service account shop/web as " + batchRole, "system:serviceaccount:shop:web"}},
		{"role that does not exist", func(n *node) question {
			return n.pod(shop).question(registry + "/app").as(shopRole)
		}, []string{"status 403 AccessDenied", "trust policy", shopRole}},
		{"token for another audience", func(n *node) question {
			n.addRole(shopRole, shop)
			return n.podWith(shop, "https://kubernetes.default.svc", time.Hour).question(registry + "/app").as(shopRole)
		}, []string{"InvalidIdentityToken", "audience"}},
		{"expired token", func(n *node) question {
			n.addRole(shopRole, shop)
			return n.podWith(shop, stsAudience, -time.Second).question(registry + "/app").as(shopRole)
		}, []string{"ExpiredToken", "service account shop/web"}},
		{"cluster without a provider", func(n *node) question {
			n.cloud.Faults.Always("sts", "", cloud.Refusal{Status: 400, Code: "InvalidIdentityToken",
				Message: "No OpenIDConnect provider found in your account for https://oidc.example.com"})
			return n.pod(shop).question(registry + "/app").as(shopRole)
		}, []string{"InvalidIdentityToken", "create the cluster's IAM OIDC provider"}},
		{"rejected claim", func(n *node) question {
			n.cloud.Faults.Always("sts", "", cloud.Refusal{Status: 403, Code: "IDPRejectedClaim", Message: "The claim was rejected"})
			return n.pod(shop).question(registry + "/app").as(shopRole)
		}, []string{"status 403 IDPRejectedClaim", "serviceAccountTokenAudience"}},
		{"region without STS", func(n *node) question {
			n.cloud.Faults.Always("sts", "", cloud.Refusal{Status: 403, Code: "RegionDisabledException", Message: "STS is not activated in this region"})
			return n.pod(shop).question(registry + "/app").as(shopRole)
		}, []string{"status 403 RegionDisabledException", "activate STS in region us-east-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			q := test.ask(n)
			q.Args = []string{"--node-fallback"}
			n.ask(q).wantFailure(1, append(test.says, "sts: AssumeRoleWithWebIdentity at "+stsAPI)...)
			n.wantNever("imds PutToken", "ecr GetAuthorizationToken")
		})
	}
}

// Whoever may edit a service account writes its annotations.
func TestAnInvalidRoleAnnotationCausesNoCall(t *testing.T) {
	n := bootNode(t)
	for _, role := range []string{
		"pull-shop",
		"arn:aws:iam::123456789012:user/ci",
		"arn:aws:iam::12345678901:role/pull",
		"arn:aws:iam::123456789012:role/",
		"arn:aws:iam::123456789012:role/pull shop",
		"arn:aws:iam::123456789012:role/pull\nshop",
		"arn:aws:iam:us-east-1:123456789012:role/pull",
		"arn:aws:sts::123456789012:assumed-role/pull/x",
		"arn:evil:iam::123456789012:role/pull",
		"arn:aws-cn:iam::123456789012:role/pull", // not the partition of the registry
		" " + shopRole,
	} {
		for _, args := range [][]string{nil, {"--node-fallback"}} {
			t.Run(fmt.Sprintf("%q %v", role, args), func(t *testing.T) {
				n := n.in(t)
				q := n.pod(shop).question(registry+"/app", args...).as(role)
				n.ask(q).wantFailure(1, registry, "service account shop/web", "annotation "+roleAnnotation)
				n.wantCalls()
			})
		}
	}
}

func TestABrokenServiceAccountTokenCausesNoCall(t *testing.T) {
	n := bootNode(t)
	good := n.pod(shop).token
	for name, token := range map[string]string{
		"not a JWT":  "opaque",
		"two parts":  good[:strings.LastIndex(good, ".")],
		"not base64": "a.%%%.c",
		"not JSON":   "eyJhbGciOiJSUzI1NiJ9.bm90LWpzb24tYXQtYWxsLWFuZC1sb25nLWVub3VnaA.c2ln",
		"too long":   good + strings.Repeat("x", 64<<10),
	} {
		t.Run(name, func(t *testing.T) {
			n := n.in(t)
			n.ask(question{Image: registry + "/app", Token: token, Args: []string{"--node-fallback"}}.as(shopRole)).
				wantFailure(1, "service account token")
			n.wantCalls()
		})
	}
}
