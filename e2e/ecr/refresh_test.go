package ecr_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
)

// A token is asked for anew when about half of its life is over: once, before
// it ends.
func TestATokenIsRefreshedBeforeItEnds(t *testing.T) {
	n := bootNode(t)
	n.aws.Configure(func(s *aws.Settings) { s.Token.Life = 4 * time.Second })
	q := question{Image: registry + "/app"}
	first := n.ask(q).wantCredential(registry, nodeRole)
	if first.keep != 0 {
		t.Errorf("the kubelet keeps a token of four seconds for %s", first.keep)
	}
	// The refreshed one is an ordinary one, which is not due again.
	n.aws.Configure(func(s *aws.Settings) { s.Token.Life = 0 })
	n.cloud.Calls.Reset()

	var second issued
	cloudtest.Eventually(t, "a new token", func() bool {
		second = n.ask(q).wantCredential(registry, nodeRole)
		return second.password != first.password
	})
	if !time.Now().Before(first.Expires) {
		t.Error("the first token ended before it was refreshed")
	}
	for range 3 {
		if n.ask(q).wantCredential(registry, nodeRole).password != second.password {
			t.Error("yet another token")
		}
	}
	n.wantCalls(askIMDS, askECR(ecrAPI))
}

// While AWS cannot be asked, the token that is still good is served. What AWS
// said is kept in mind: it is not asked again before the time it named.
func TestATokenThatCannotBeRefreshedIsServedToItsEnd(t *testing.T) {
	n := bootNode(t)
	n.aws.Configure(func(s *aws.Settings) { s.Token.Life = 5 * time.Second })
	q := question{Image: registry + "/app"}
	first := n.ask(q).wantCredential(registry, nodeRole)
	n.cloud.Calls.Reset()
	n.cloud.Faults.Always("ecr", "", cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: time.Minute})

	var served answer
	cloudtest.Eventually(t, "an attempt to refresh", func() bool {
		served = n.ask(q)
		return n.cloud.Calls.Count("ecr", "") > 0
	})
	if !strings.Contains(served.Stderr, "refresh failed") || !strings.Contains(served.Stderr, "status 429") {
		t.Errorf("the log does not say that the refresh failed: %s", served.Stderr)
	}
	if secret := cloudtest.Secret(served.Stderr); secret != "" {
		t.Errorf("%q in the log may be a secret", secret)
	}
	for _, a := range []answer{served, n.ask(q)} {
		response, keep := a.Response()
		if response.Auth[registry].Password != first.password || keep != 0 {
			t.Errorf("served another token, or to be kept for %s", keep)
		}
	}

	var last answer
	cloudtest.Eventually(t, "the token's end", func() bool { last = n.ask(q); return last.Exit != 0 })
	last.wantFailure(1, "status 429", "ago to another process")
	n.wantCalls(askIMDS, askECR(ecrAPI))
}
