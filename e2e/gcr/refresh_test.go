package gcr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

// The metadata server repeats a token, with less and less life left, until
// shortly before its end. Asking early yields nothing, and asking again and
// again what yields nothing is a burden on a server that bears none.
func TestARepeatedTokenIsNotAskedForAgainAndAgain(t *testing.T) {
	t.Parallel()
	const life, before, step = 1000 * time.Second, 200 * time.Second, 20 * time.Second
	n := bootNode(t)
	n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Life, s.Metadata.RenewBefore = life, before })
	q := question{Image: registry + "/p/r/app"}
	first := n.ask(q).wantCredential(registry, gcp.Account(nodeAccount))

	begin, passed, runs := time.Now(), time.Duration(0), 0
	for last := first; last.password == first.password; runs++ {
		if time.Since(begin)+passed > life {
			t.Fatal("the first token was served past its end")
		}
		passed += step
		cloudtest.AgeCache(t, n.Cloud, step)
		n.gcp.Configure(func(s *gcp.Settings) { s.Clock = passed })
		last = n.ask(q).wantCredential(registry, gcp.Account(nodeAccount))
	}
	if asked := n.Cloud.Calls.Count("metadata", "GetToken"); asked > 8 {
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
	t.Parallel()
	for _, test := range []struct {
		left, keep time.Duration // keep: at most
	}{
		{20 * time.Second, 12 * time.Second},
		{40 * time.Second, 25 * time.Second},
		{90 * time.Second, 55 * time.Second},
		{4 * time.Minute, 150 * time.Second},
	} {
		t.Run(test.left.String(), func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Life, s.Metadata.RenewBefore = test.left, time.Second })
			token := n.ask(question{Image: registry + "/p/r/app", Args: []string{"--max-kubelet-cache=24h"}}).wantCredential(registry, gcp.Account(nodeAccount))
			if token.keep > test.keep {
				t.Errorf("the kubelet keeps a token with %s left for %s, want at most %s", test.left, token.keep, test.keep)
			}
			n.WantCalls(askMetadata)
		})
	}
}
