package gcr_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

// The metadata server repeats a token, with less and less life left, until
// shortly before its end. Asking early yields nothing, and asking again and
// again what yields nothing is a burden on a server that bears none.
func TestARepeatedTokenIsNotAskedForAgainAndAgain(t *testing.T) {
	const life, before = 5 * time.Second, time.Second
	n := bootNode(t)
	n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Life, s.Metadata.RenewBefore = life, before })
	q := question{Image: registry + "/p/r/app"}
	first := n.ask(q).wantCredential(registry, gcp.Account(nodeAccount))

	runs, last := 0, first
	cloudtest.Eventually(t, "a new token", func() bool {
		runs++
		last = n.ask(q).wantCredential(registry, gcp.Account(nodeAccount))
		return last.password != first.password
	})
	if !time.Now().Before(first.Expires.Add(before)) {
		t.Error("the first token was served past its end")
	}
	if asked := n.cloud.Calls.Count("metadata", "GetToken"); asked > 8 {
		t.Errorf("%d runs while one token lived asked for it %d times, want at most 8", runs, asked)
	} else {
		t.Logf("%d runs, %d questions", runs, asked)
	}
	if issued := n.gcp.Issued("metadata"); issued != 2 {
		t.Errorf("%d tokens were issued, want 2", issued)
	}
}

// GKE's metadata server hands out tokens that are about to end. They are as
// good as any: the kubelet is told to keep them for as long as they are.
func TestATokenThatIsAboutToEndIsUsed(t *testing.T) {
	for _, test := range []struct {
		left, keep time.Duration // keep: at most
	}{
		{2 * time.Second, time.Second},
		{10 * time.Second, 6 * time.Second},
		{90 * time.Second, 55 * time.Second},
		{4 * time.Minute, 150 * time.Second},
	} {
		t.Run(test.left.String(), func(t *testing.T) {
			n := bootNode(t)
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Life, s.Metadata.RenewBefore = test.left, time.Second })
			token := n.ask(question{Image: registry + "/p/r/app", Args: []string{"--max-kubelet-cache=24h"}}).wantCredential(registry, gcp.Account(nodeAccount))
			if token.keep > test.keep {
				t.Errorf("the kubelet keeps a token with %s left for %s, want at most %s", test.left, token.keep, test.keep)
			}
			n.wantCalls(askMetadata)
		})
	}
}

// While the server cannot be asked, the token that is still good is served.
// After a failure the server is left alone for a while.
func TestATokenThatCannotBeRefreshedIsServedToItsEnd(t *testing.T) {
	n := bootNode(t)
	n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Life, s.Metadata.RenewBefore = 4*time.Second, time.Second })
	q := question{Image: registry + "/p/r/app"}
	first := n.ask(q).wantCredential(registry, gcp.Account(nodeAccount))
	n.cloud.Calls.Reset()
	n.cloud.Faults.Always("metadata", "", cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: time.Minute})

	var served answer
	cloudtest.Eventually(t, "an attempt to refresh", func() bool {
		served = n.ask(q)
		return n.cloud.Calls.Count("metadata", "") > 0
	})
	if !strings.Contains(served.Stderr, "refresh failed") || !strings.Contains(served.Stderr, "429") {
		t.Errorf("the log does not say that the refresh failed: %s", served.Stderr)
	}
	for _, a := range []answer{served, n.ask(q)} {
		response, keep := a.Response()
		if response.Auth[registry].Password != first.password || keep != 0 {
			t.Errorf("served another token, or to be kept for %s", keep)
		}
	}

	var last answer
	cloudtest.Eventually(t, "the token's end", func() bool { last = n.ask(q); return last.Exit != 0 })
	last.wantFailure(1, "429", "ago to another process")
	if asked := n.cloud.Calls.Count("metadata", ""); asked != 1 {
		t.Errorf("the server that wants to be left alone was asked %d times, want 1", asked)
	}
}

// The exchanged token of a pod is refreshed once, before it ends.
func TestAPodsTokenIsRefreshedBeforeItEnds(t *testing.T) {
	n := bootNode(t)
	n.gcp.Configure(func(s *gcp.Settings) { s.STS.Life = 4 * time.Second })
	q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)
	first := n.ask(q).wantCredential(registry, ownPrincipal(shop))
	n.gcp.Configure(func(s *gcp.Settings) { s.STS.Life = 0 })
	n.cloud.Calls.Reset()

	cloudtest.Eventually(t, "a new token", func() bool {
		return n.ask(q).wantCredential(registry, ownPrincipal(shop)).password != first.password
	})
	if !time.Now().Before(first.Expires) {
		t.Error("the first token ended before it was refreshed")
	}
	for range 3 {
		n.ask(q).wantCredential(registry, ownPrincipal(shop))
	}
	n.wantCalls(askSTS)
}
