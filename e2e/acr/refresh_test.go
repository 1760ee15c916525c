package acr_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

// The registry's token says itself when it ends, and nothing else does.
func TestTheEndOfTheTokenDecidesForHowLongTheKubeletKeepsIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		settings    fake.TokenSettings
		least, most time.Duration
	}{
		// Kept until 40 % to 60 % of the life.
		{"40 minutes", fake.TokenSettings{Life: 40 * time.Minute}, 15 * time.Minute, 25 * time.Minute},
		{"4 minutes", fake.TokenSettings{Life: 4 * time.Minute}, time.Minute, 3 * time.Minute},
		{"30 seconds", fake.TokenSettings{Life: 30 * time.Second}, 0, 20 * time.Second},
		// Not longer than half an hour: the registry may be switched to
		// permissions by repository.
		{"3 hours", fake.TokenSettings{}, 10 * time.Minute, 30 * time.Minute},
		{"no end", fake.TokenSettings{Shape: fake.NoExpiry}, time.Minute, 5 * time.Minute},
		{"no JWT", fake.TokenSettings{Shape: fake.NotAToken}, time.Minute, 5 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.azure.Configure(func(s *azure.Settings) { s.ACR.Refresh = test.settings })
			q := question{Image: image, Args: []string{"--max-kubelet-cache=24h"}}
			if keep := n.ask(q).wantCredential(registry, system.ClientID).keep; keep < test.least || keep > test.most {
				t.Errorf("the kubelet keeps it for %s, want %s to %s", keep, test.least, test.most)
			}
			n.WantCalls(askNode)
		})
	}
}

func TestTheEndOfAPasswordForARepository(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.azure.Configure(func(s *azure.Settings) { s.ACR.Access.Life = 4 * time.Minute })
	token := n.scoped(question{Image: image, Args: []string{"--max-kubelet-cache=24h"}}, registry, repository, system.ClientID)
	if token.keep < time.Minute || token.keep > 3*time.Minute {
		t.Errorf("the kubelet keeps for %s a password of 4m", token.keep)
	}
}

// The platform repeats the machine's token, with less and less life left, until
// shortly before its end. Asking early yields nothing, and asking again and
// again is a burden on a service that answers five at once.
func TestARepeatedTokenIsNotAskedForAgainAndAgain(t *testing.T) {
	t.Parallel()
	const life, before, step = 1000 * time.Second, 200 * time.Second, 20 * time.Second
	n := bootNode(t)
	n.azure.Configure(func(s *azure.Settings) {
		s.IMDS.Token.Life, s.IMDS.RenewBefore = life, before
		s.ACR.Refresh.Life = 400 * time.Second
	})
	q := question{Image: image}
	begin, passed, runs := time.Now(), time.Duration(0), 0
	for n.azure.Issued("imds") < 2 {
		n.ask(q).wantCredential(registry, system.ClientID)
		if runs++; time.Since(begin)+passed > life+time.Minute {
			t.Fatal("the first token has ended, and there is no other")
		}
		passed += step
		cloudtest.AgeCache(t, n.Cloud, step)
		n.azure.Configure(func(s *azure.Settings) { s.Clock = passed })
	}
	if asked := n.Cloud.Calls.Count("imds", "GetToken"); asked > 8 {
		t.Errorf("%d runs while one token lived asked for it %d times, want at most 8", runs, asked)
	}
}

// While something cannot be asked, the token that is still good is served. After
// a failure it is left alone for a while.
func TestATokenThatCannotBeRefreshedIsServedToItsEnd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		service string
		ask     func(n *node) question
		want    string
	}{
		{"imds", func(n *node) question {
			// The machine's token ends before the registry's is refreshed.
			n.azure.Configure(func(s *azure.Settings) { s.IMDS.Token.Life = time.Minute })
			return question{Image: image}
		}, system.ClientID},
		{"entra", func(n *node) question {
			n.azure.Configure(func(s *azure.Settings) { s.Entra.Life = time.Minute })
			return question{Image: image, Args: n.asApp()}
		}, appID},
	} {
		t.Run(test.service, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.serve(registry, system.ClientID, appID)
			n.azure.Configure(func(s *azure.Settings) { s.ACR.Refresh.Life = 110 * time.Second })
			q := test.ask(n)
			first := n.ask(q).wantCredential(registry, test.want)
			n.Cloud.Calls.Reset()
			n.Cloud.Faults.Always(test.service, "", cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: 3 * time.Minute})

			// The registry's token is due, and the other one has ended.
			cloudtest.AgeCache(t, n.Cloud, 70*time.Second)
			served := n.ask(q)
			if !strings.Contains(served.Stderr, "refresh failed") || !strings.Contains(served.Stderr, "429") {
				t.Errorf("the log does not say that the refresh failed: %s", served.Stderr)
			}
			for _, a := range []answer{served, n.ask(q)} {
				response, keep := a.Response()
				if response.Auth[registry].Password != first.password || keep != 0 {
					t.Errorf("served another token, or to be kept for %s", keep)
				}
			}

			cloudtest.AgeCache(t, n.Cloud, 40*time.Second)
			n.ask(q).WantFailure(1, "429", cloudtest.Recorded)
			if asked := n.Cloud.Calls.Count(test.service, ""); asked != 1 {
				t.Errorf("who wants to be left alone was asked %d times, want 1", asked)
			}
		})
	}
}
