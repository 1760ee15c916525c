package ecr_test

import (
	"fmt"
	"net/http"
	"regexp"
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
	struck := func(service string, fault cloud.Fault) func(*node) {
		return func(n *node) { n.cloud.Faults.Always(service, "", fault) }
	}
	shaped := func(shape aws.TokenShape) func(*node) {
		return func(n *node) { n.aws.Configure(func(s *aws.Settings) { s.Token.Shape = shape }) }
	}
	const (
		atECR     = "ecr: GetAuthorizationToken at " + ecrAPI
		atSTS     = "sts: AssumeRoleWithWebIdentity at " + stsAPI
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
		{name: "throttled by status", prepare: struck("ecr", cloud.Refusal{Status: http.StatusTooManyRequests}),
			says: []string{atECR, "status 429", asTheNode, "throttles"}},
		{name: "throttled by code", prepare: struck("ecr", aws.Throttled()),
			says: []string{atECR, "status 400 ThrottlingException", asTheNode, "throttles"}},
		{name: "STS throttled", pod: true, prepare: struck("sts", cloud.Refusal{Status: 400, Code: "Throttling", Message: "Rate exceeded"}),
			says: []string{atSTS, "status 400 Throttling", asThePod, "throttles"}},
		{name: "server error", prepare: struck("ecr", aws.ServerError()),
			says: []string{atECR, "status 500 ServerException", asTheNode}},
		{name: "STS unavailable", pod: true, prepare: struck("sts", cloud.Refusal{Status: 503, Code: "ServiceUnavailable", Message: "Slow down"}),
			says: []string{atSTS, "status 503 ServiceUnavailable", asThePod}},
		{name: "reset", prepare: struck("ecr", cloud.Reset{}),
			says: []string{atECR, "connection reset", asTheNode, "check the node's route"}},
		{name: "STS reset", pod: true, prepare: struck("sts", cloud.Reset{}),
			says: []string{atSTS, "connection reset", asThePod, "check the node's route"}},

		{name: "no body", prepare: struck("ecr", cloud.Empty), says: []string{atECR, "status 200", asTheNode}},
		{name: "a page instead of JSON", prepare: struck("ecr", cloud.NotJSON), says: []string{atECR, "status 200", asTheNode}},
		{name: "truncated", prepare: struck("ecr", cloud.Truncated), says: []string{atECR, "status 200", asTheNode}},
		{name: "oversized", prepare: struck("ecr", cloud.Oversized), says: []string{atECR, "status 200", "larger than 1 MiB", asTheNode}},
		{name: "a page instead of XML", pod: true, prepare: struck("sts", cloud.NotJSON), says: []string{atSTS, "status 200", asThePod}},
		{name: "no XML", pod: true, prepare: struck("sts", cloud.Empty), says: []string{atSTS, asThePod}},

		{name: "no token", prepare: shaped(aws.NoData), says: []string{atECR, "no authorization data", asTheNode}},
		{name: "empty token", prepare: shaped(aws.EmptyToken), says: []string{atECR, "not a user name and a password", asTheNode}},
		{name: "token without a colon", prepare: shaped(aws.NoColon), says: []string{atECR, "not a user name and a password", asTheNode}},
		{name: "empty password", prepare: shaped(aws.EmptyPassword), says: []string{atECR, "not a user name and a password", asTheNode}},
		{name: "no expiry", prepare: shaped(aws.NoExpiry), says: []string{atECR, "without an expiry", asTheNode}},
		{name: "past expiry", prepare: func(n *node) { n.aws.Configure(func(s *aws.Settings) { s.Token.Life = -time.Hour }) },
			says: []string{atECR, "expired", asTheNode, "check the node's clock"}},

		{name: "endpoint that does not exist", image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app",
			says: []string{"ecr: GetAuthorizationToken at api.ecr.eu-west-1.amazonaws.com", "no such host", asTheNode, "DNS"}},
		{name: "unknown authority", env: []string{"SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nonexistent"},
			says: []string{atECR, "x509: certificate signed by unknown authority", asTheNode, "--ca-file"}},
		{name: "authority's file that does not exist", env: []string{"AWS_CA_BUNDLE=/nonexistent/ca.pem"},
			says: []string{"/nonexistent/ca.pem", "no such file", asTheNode}},
	} {
		t.Run(test.name, func(t *testing.T) {
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
			first.wantFailure(1, append(test.says, host+": ")...)
			first.WantWithin(30 * time.Second)
			n.cloud.Calls.Reset()

			n.ask(q).wantFailure(1, append(test.says, host+": ", "ago to another process; next attempt in")...)
			n.wantCalls()
		})
	}
}

// What may pass by itself is tried again before it is a failure.
func TestAHiccupOfAnAPIPasses(t *testing.T) {
	for name, fault := range map[string]cloud.Fault{
		"throttled by status":                       cloud.Refusal{Status: http.StatusTooManyRequests},
		"throttled by code":                         aws.Throttled(),
		"throttled by a code the SDK does not know": cloud.Refusal{Status: 400, Code: "ThrottleException"},
		"server error":                              aws.ServerError(),
		"bad gateway":                               cloud.Refusal{Status: http.StatusBadGateway},
		"reset":                                     cloud.Reset{},
	} {
		for _, service := range []string{"ecr", "sts"} {
			t.Run(service+" "+name, func(t *testing.T) {
				n := bootNode(t)
				n.addRole(shopRole, shop)
				n.cloud.Faults.First(1, service, "", fault)
				n.ask(n.pod(shop).question(registry+"/app").as(shopRole)).wantCredential(registry, shopRole)
				if asked := n.cloud.Calls.Count(service, ""); asked != 2 {
					t.Errorf("%s was asked %d times, want 2", service, asked)
				}
			})
		}
	}
}

// An answer may be there before the client is done with sending. It is an
// answer, and not a broken connection.
func TestAQuickAnswerIsNotLost(t *testing.T) {
	n := bootNode(t)
	for i := range 100 {
		if a := n.ask(question{Image: registry + "/app", Args: []string{"--cache-dir="}}); a.Exit != 0 {
			t.Fatalf("run %d: %s", i+1, a.Stderr)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Run("is waited for", func(t *testing.T) {
		n := bootNode(t)
		n.cloud.Faults.First(1, "ecr", "", cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: time.Second})
		a := n.ask(question{Image: registry + "/app"})
		a.wantCredential(registry, nodeRole)
		n.wantCalls(askIMDS, askECR(ecrAPI), askECR(ecrAPI))
		if a.Took < time.Second {
			t.Errorf("asked again within %s", a.Took)
		}
	})
	t.Run("is recorded if it is longer than the kubelet waits", func(t *testing.T) {
		n := bootNode(t)
		n.cloud.Faults.Always("ecr", "", cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: 2 * time.Minute})
		first := n.ask(question{Image: registry + "/app"})
		first.wantFailure(1, "status 429")
		first.WantWithin(10 * time.Second)
		n.wantCalls(askIMDS, askECR(ecrAPI))
		again := n.ask(question{Image: registry + "/app"})
		again.wantFailure(1, "status 429")
		n.wantCalls()
		if left := again.nextAttempt(); left < 110*time.Second || left > 2*time.Minute {
			t.Errorf("the next attempt is in %s, want almost 2m", left)
		}
	})
}

var nextAttempt = regexp.MustCompile(`next attempt in (\S+)\)`)

// nextAttempt is when AWS will be asked again, as the line says.
func (a answer) nextAttempt() time.Duration {
	a.node.t.Helper()
	said := nextAttempt.FindStringSubmatch(a.Stderr)
	if said == nil {
		a.node.t.Fatalf("the line does not say when the next attempt is: %s", a.Stderr)
	}
	left, err := time.ParseDuration(said[1])
	if err != nil {
		a.node.t.Fatal(err)
	}
	return left
}

// The kubelet kills a plugin after a minute. An attempt that hangs is given up
// long before that, and made again.
func TestAnAPIThatHangsIsAskedAgain(t *testing.T) {
	n := bootNode(t)
	n.cloud.Faults.First(1, "ecr", "", cloud.Hang{})
	a := n.ask(question{Image: registry + "/app"})
	a.wantCredential(registry, nodeRole)
	a.WantWithin(20 * time.Second)
	n.wantCalls(askIMDS, askECR(ecrAPI), askECR(ecrAPI))
}

// A node that fails does not ask more and more often.
func TestABurstAfterAFailureMakesOneAttempt(t *testing.T) {
	n := bootNode(t)
	n.attach(nodeRole)
	for i := range 20 {
		n.ask(question{Image: fmt.Sprintf("%s/app-%d", registry, i)}).wantFailure(1, "AccessDeniedException")
	}
	n.wantCalls(askIMDS, askECR(ecrAPI))
}

// The failure of one identity says nothing of another's.
func TestAFailureIsItsIdentitysOwn(t *testing.T) {
	n := bootNode(t)
	n.addRole(batchRole, batch)
	n.ask(n.pod(shop).question(registry+"/app").as(batchRole)).wantFailure(1, "AccessDenied")
	n.ask(n.pod(batch).question(registry+"/app").as(batchRole)).wantCredential(registry, batchRole)
	n.ask(question{Image: registry + "/app"}).wantCredential(registry, nodeRole)
}

func TestTheOperatorsAuthorityIsTrusted(t *testing.T) {
	distrust := []string{"SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nonexistent"}
	for name, trust := range map[string]func(bundle string) question{
		"flag":     func(bundle string) question { return question{Args: []string{"--ca-file", bundle}} },
		"variable": func(bundle string) question { return question{Env: []string{"AWS_CA_BUNDLE=" + bundle}} },
		"file": func(bundle string) question {
			return question{Args: []string{"--config", configFile(t, "caFile: "+bundle+"\n")}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := bootNode(t)
			q := trust(cloudtest.File(t, string(n.cloud.Authority.PEM())))
			q.Image, q.Env = registry+"/app", append(q.Env, distrust...)
			n.ask(q).wantCredential(registry, nodeRole)
		})
	}
}
