package gcr_test

import (
	"slices"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/gcp"
)

// trusting starts a node in a cloud where some may have tokens of the Google
// service account that pulls.
func trusting(t *testing.T, trusted ...gcp.Principal) *node {
	t.Helper()
	n := bootNode(t)
	n.gcp.AddServiceAccount(gcp.ServiceAccount{Email: pullAccount, Impersonators: trusted})
	return n
}

func TestAPodPullsAsAGoogleServiceAccount(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(question) question{
		"annotation": func(q question) question { return q.annotated(accountAnnotation, pullAccount) },
		"flag": func(q question) question {
			q.Args = slices.Concat(q.Args, []string{"--service-account", pullAccount})
			return q
		},
		"file": func(q question) question {
			q.Args = slices.Concat(q.Args, []string{"--config", configFile(t, "serviceAccount: "+pullAccount+"\n")})
			return q
		},
		"annotation before flag": func(q question) question {
			q.Args = slices.Concat(q.Args, []string{"--service-account", nodeAccount})
			return q.annotated(accountAnnotation, pullAccount)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := trusting(t, ownPrincipal(shop))
			q := ask(n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...))
			token := n.ask(q).wantCredential(registry, gcp.Account(pullAccount))
			if len(token.Scopes) == 0 {
				t.Error("a token without scopes")
			}
			if got, want := n.summaries("iamcredentials"), pullAccount+" as "+string(ownPrincipal(shop)); !slices.Equal(got, []string{want}) {
				t.Errorf("asked for %q, want %q", got, want)
			}
			n.WantCalls(askSTS, askCredentials)
			n.ask(q).wantCredential(registry, gcp.Account(pullAccount))
			n.WantCalls()
		})
	}
}

// The token that is exchanged on the way is the pod's own, and shared with the
// pulls that it makes as itself.
func TestAnImpersonationSharesTheExchange(t *testing.T) {
	t.Parallel()
	n := trusting(t, ownPrincipal(shop))
	q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)
	n.ask(q).wantCredential(registry, ownPrincipal(shop))
	n.WantCalls(askSTS)
	n.ask(q.annotated(accountAnnotation, pullAccount)).wantCredential(registry, gcp.Account(pullAccount))
	n.WantCalls(askCredentials)
}

// What ended the exchanged token before its time is not known to the cache.
func TestAnImpersonationReplacesAnExchangedTokenThatIsRefused(t *testing.T) {
	t.Parallel()
	n := trusting(t, ownPrincipal(shop))
	q := n.pod(shop, wifAudience, 24*time.Hour).question(registry+"/p/r/app", wifArgs...)
	n.ask(q).wantCredential(registry, ownPrincipal(shop))
	n.WantCalls(askSTS)
	n.gcp.Configure(func(s *gcp.Settings) { s.Clock = 2 * time.Hour })

	// It is only just new: another one would be refused as well.
	impersonating := q.annotated(accountAnnotation, pullAccount)
	n.ask(impersonating).WantFailure(1, "401", "UNAUTHENTICATED")
	n.WantCalls(askCredentials)

	cloudtest.AgeCache(t, n.Cloud, 2*time.Minute)
	cloudtest.Eventually(t, "the refusal is forgotten", func() bool { return n.ask(impersonating).Exit == 0 })
	n.ask(impersonating).wantCredential(registry, gcp.Account(pullAccount))
	n.WantCalls(askCredentials, askSTS, askCredentials)
}

// The answer says when the token ends by Google's clock.
func TestAnImpersonationWithAWrongClock(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{20 * time.Minute, -20 * time.Minute} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			n := trusting(t, ownPrincipal(shop))
			q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", append([]string{"--max-kubelet-cache=24h"}, wifArgs...)...)
			n.ask(q).wantCredential(registry, ownPrincipal(shop)) // which STS would refuse by that clock
			n.gcp.Configure(func(s *gcp.Settings) { s.Clock = ahead })
			token := n.ask(q.annotated(accountAnnotation, pullAccount)).wantCredential(registry, gcp.Account(pullAccount))
			if least, most := 23*time.Minute, 37*time.Minute; token.keep < least || token.keep > most {
				t.Errorf("the kubelet keeps a token of one hour for %s, want %s to %s", token.keep, least, most)
			}
		})
	}
}

// Two service accounts may be one Google service account. Each asks for itself,
// and neither gets what only the other may have.
func TestAnImpersonationIsItsServiceAccountsOwn(t *testing.T) {
	t.Parallel()
	n := trusting(t, ownPrincipal(shop))
	n.ask(n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...).annotated(accountAnnotation, pullAccount)).
		wantCredential(registry, gcp.Account(pullAccount))
	n.Cloud.Calls.Reset()
	n.ask(n.pod(batch, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...).annotated(accountAnnotation, pullAccount)).
		WantFailure(1, "403", "service account jobs/batch", pullAccount)
	n.WantCalls(askSTS, askCredentials)
}

// A service account that is told to be another one has that one's token.
func TestEveryGoogleServiceAccountHasATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	const other = "other@example-project.iam.gserviceaccount.com"
	n := trusting(t, ownPrincipal(shop))
	n.gcp.AddServiceAccount(gcp.ServiceAccount{Email: other, Impersonators: []gcp.Principal{ownPrincipal(shop)}})
	q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)
	for range 2 {
		for _, email := range []string{pullAccount, other} {
			n.ask(q.annotated(accountAnnotation, email)).wantCredential(registry, gcp.Account(email))
		}
	}
	n.WantCalls(askSTS, askCredentials, askCredentials)
}

// Nobody is told whether the account exists or may not be impersonated; both
// are somebody's mistake, and neither is mended by the node's identity.
func TestAnImpersonationThatIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare func(*node)
		says    []string
	}{
		{"no permission", func(n *node) { n.gcp.AddServiceAccount(gcp.ServiceAccount{Email: pullAccount}) }, []string{"403", "PERMISSION_DENIED", "iam.serviceAccounts.getAccessToken", "roles/iam.workloadIdentityUser", string(ownPrincipal(shop))}},
		{"no fields", shaped(fake.NoFields), nil},
		{"empty token", shaped(fake.EmptyToken), nil},
		{"no expiry", shaped(fake.NoExpiry), nil},
		{"expired", shaped(fake.ExpiredLong), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := trusting(t, ownPrincipal(shop))
			test.prepare(n)
			q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", append([]string{"--node-fallback"}, wifArgs...)...).
				annotated(accountAnnotation, pullAccount)
			says := slices.Concat(test.says, []string{registry, credentialsAPI, "service account shop/web", pullAccount})
			first := n.ask(q)
			first.WantFailure(1, says...)
			first.WantWithin(cloudtest.Later)
			n.WantNever("metadata")
			n.WantRecorded(cloudtest.Question(q), says...)
		})
	}
}

func shaped(shape fake.TokenShape) func(*node) {
	return func(n *node) { n.gcp.Configure(func(s *gcp.Settings) { s.IAMCredentials.Shape = shape }) }
}
