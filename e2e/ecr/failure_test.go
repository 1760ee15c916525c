package ecr_test

import (
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
)

// Every failure is one line that says at which stage and where, what came
// back, with whose rights was asked and what to do. The next run does not ask
// again at once: it repeats what was recorded.
func TestAFailureSaysEverythingAndIsRecorded(t *testing.T) {
	t.Parallel()
	struck := func(service string, fault cloud.Fault) func(*node) {
		return func(n *node) { n.Cloud.Faults.Always(service, "", fault) }
	}
	shaped := func(shape aws.TokenShape) func(*node) {
		return func(n *node) { n.aws.Configure(func(s *aws.Settings) { s.Token.Shape = shape }) }
	}
	const (
		atECR     = "ecr GetAuthorizationToken at " + ecrAPI
		atSTS     = "sts AssumeRoleWithWebIdentity at " + stsAPI
		asTheNode = "as the node's identity"
		asThePod  = "as service account shop/web as " + shopRole
	)
	for _, test := range []struct {
		name    string
		prepare func(*node)
		pod     bool
		image   string // empty: an ordinary one
		env     []string
		says    []string
	}{
		{name: "no permission", prepare: func(n *node) { n.attach(nodeRole) },
			says: []string{atECR, "status 400 AccessDeniedException", asTheNode, "grant ecr:GetAuthorizationToken"}},
		{name: "no permission for a pod", pod: true, prepare: func(n *node) {
			n.aws.AddRole(aws.Role{ARN: shopRole, Subjects: []string{shop.Subject()}})
		}, says: []string{atECR, "status 400 AccessDeniedException", asThePod, "grant ecr:GetAuthorizationToken"}},
		{name: "no trust", pod: true, prepare: func(n *node) { n.addRole(shopRole, batch) },
			says: []string{atSTS, "status 403 AccessDenied", asThePod, "trust policy"}},
		{name: "throttled by code", prepare: struck("ecr", aws.Throttled()),
			says: []string{atECR, "status 400 ThrottlingException", asTheNode, "throttles"}},
		{name: "STS throttled", pod: true, prepare: struck("sts", cloud.Refusal{Status: 400, Code: "Throttling", Message: "Rate exceeded"}),
			says: []string{atSTS, "status 400 Throttling", asThePod, "throttles"}},
		{name: "server error", prepare: struck("ecr", aws.ServerError()),
			says: []string{atECR, "status 500 ServerException", asTheNode}},
		{name: "STS unavailable", pod: true, prepare: struck("sts", cloud.Refusal{Status: 503, Code: "ServiceUnavailable", Message: "Slow down"}),
			says: []string{atSTS, "status 503 ServiceUnavailable", asThePod}},
		{name: "reset", prepare: struck("ecr", cloud.Reset{}),
			says: []string{atECR, "connection reset", asTheNode, "broke off"}},
		{name: "STS reset", pod: true, prepare: struck("sts", cloud.Reset{}),
			says: []string{atSTS, "connection reset", asThePod, "broke off"}},

		{name: "no token", prepare: shaped(aws.NoData), says: []string{atECR, "no authorization data", asTheNode}},
		{name: "empty token", prepare: shaped(aws.EmptyToken), says: []string{atECR, "not a user name and a password", asTheNode}},
		{name: "token without a colon", prepare: shaped(aws.NoColon), says: []string{atECR, "not a user name and a password", asTheNode}},
		{name: "empty password", prepare: shaped(aws.EmptyPassword), says: []string{atECR, "not a user name and a password", asTheNode}},
		{name: "no expiry", prepare: shaped(aws.NoExpiry), says: []string{atECR, "without an expiry", asTheNode}},
		{name: "past expiry", prepare: func(n *node) { n.aws.Configure(func(s *aws.Settings) { s.Token.Life = -time.Hour }) },
			says: []string{atECR, "expired", asTheNode, "check the node's clock"}},

		{name: "endpoint that does not exist", image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app",
			says: []string{"ecr GetAuthorizationToken at api.ecr.eu-west-1.amazonaws.com", "no such host", asTheNode, "DNS"}},
		{name: "authority's file that does not exist", env: []string{"AWS_CA_BUNDLE=/nonexistent/ca.pem"},
			says: []string{"/nonexistent/ca.pem", "no such file", asTheNode}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			if test.prepare != nil {
				test.prepare(n)
			}
			q := question{Image: registry + "/app", Env: test.env}
			if test.image != "" {
				q.Image = test.image
			}
			if test.pod {
				q = n.pod(shop).question(q.Image).as(shopRole)
			}
			host, _, _ := strings.Cut(q.Image, "/")

			first := n.ask(q)
			first.WantFailure(1, append(test.says, host+": ")...)
			first.WantWithin(cloudtest.Later)
			n.WantRecorded(cloudtest.Question(q), append(test.says, host+": ")...)
		})
	}
}

// What may pass by itself is tried again before it is a failure.
func TestAHiccupOfAnAPIPasses(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]cloud.Fault{
		"throttled by code":                         aws.Throttled(),
		"throttled by a code the SDK does not know": cloud.Refusal{Status: 400, Code: "ThrottleException"},
	} {
		for _, service := range []string{"ecr", "sts"} {
			t.Run(service+" "+name, func(t *testing.T) {
				t.Parallel()
				n := bootNode(t)
				n.addRole(shopRole, shop)
				n.Cloud.Faults.First(1, service, "", fault)
				n.ask(n.pod(shop).question(registry+"/app").as(shopRole)).wantCredential(registry, shopRole)
				if asked := n.Cloud.Calls.Count(service, ""); asked != 2 {
					t.Errorf("%s was asked %d times, want 2", service, asked)
				}
			})
		}
	}
}

func TestTheOperatorsAuthorityOfTheEnvironmentIsTrusted(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	bundle := cloudtest.File(t, string(n.Cloud.Authority.PEM()))
	q := question{Image: registry + "/app", Env: []string{"AWS_CA_BUNDLE=" + bundle, "SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nonexistent"}}
	n.ask(q).wantCredential(registry, nodeRole)
}
