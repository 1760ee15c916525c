package cloudtest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// shortLife is less than the kubelet is told to keep anything of, and much more
// than a run takes on a busy machine: it is the cache that is made older. When
// much of it is over the credential is due, and good for another half a minute.
const (
	shortLife = 110 * time.Second
	little    = 20 * time.Second
	much      = 70 * time.Second
)

// A credential is refreshed when about half of its life is over: once, before it
// ends.
func (s Suite[F]) refresh(t *testing.T) {
	for _, name := range []string{machineWay, podWay} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			q, identity := n.choose(name)
			n.Live(shortLife)
			first := n.WantLogin(n.Ask(q), q.Image, identity.Owner)
			if first.Keep != 0 {
				t.Errorf("the kubelet keeps a credential of %s for %s", shortLife, first.Keep)
			}
			// The refreshed one is an ordinary one, which is not due again.
			n.Live(0)
			n.Cloud.Calls.Reset()

			AgeCache(t, n.Cloud, little)
			if n.WantLogin(n.Ask(q), q.Image, identity.Owner).Password != first.Password {
				t.Error("another credential long before the first ends")
			}
			n.WantCalls()
			AgeCache(t, n.Cloud, much-little)
			second := n.WantLogin(n.Ask(q), q.Image, identity.Owner)
			if second.Password == first.Password {
				t.Error("the credential is not refreshed before it ends")
			}
			for range 3 {
				if n.WantLogin(n.Ask(q), q.Image, identity.Owner).Password != second.Password {
					t.Error("yet another credential")
				}
			}
			n.WantCalls(identity.Refresh)
		})
	}
}

// choose is one of the two ways that every cloud has.
func (n *Node[F]) choose(name string) (Question, fake.Identity) {
	n.T.Helper()
	if name == machineWay {
		return n.Own(), n.Machine
	}
	shop := n.Workload(fake.Shop)
	return n.Pod(fake.Shop, shop), shop
}

// While the cloud cannot be asked, the credential that is still good is served.
// What the cloud said is kept in mind: it is not asked again before the time it
// named.
func (s Suite[F]) failingRefresh(t *testing.T) {
	for _, name := range []string{machineWay, podWay} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			q, identity := n.choose(name)
			n.Live(shortLife)
			first := n.WantLogin(n.Ask(q), q.Image, identity.Owner)
			n.Cloud.Calls.Reset()
			service, operation := fetch(identity.Fetch)
			n.Cloud.Faults.Always(service, operation, cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: 3 * time.Minute})

			AgeCache(t, n.Cloud, much)
			served := n.Ask(q)
			if !strings.Contains(served.Stderr, "refresh failed") || !strings.Contains(served.Stderr, "429") {
				t.Errorf("the log does not say that the refresh failed: %s", served.Stderr)
			}
			if secret := Secret(served.Stderr); secret != "" {
				t.Errorf("%q in the log may be a secret", secret)
			}
			for _, a := range []Answer{served, n.Ask(q)} {
				response, keep := a.Response()
				if response.Auth[n.Registry(0)].Password != first.Password || keep != 0 {
					t.Errorf("served another credential, or to be kept for %s", keep)
				}
			}

			AgeCache(t, n.Cloud, shortLife-much)
			n.Ask(q).WantFailure(1, "429", Recorded)
			if asked := n.Cloud.Calls.Count(service, operation); asked != 1 {
				t.Errorf("who wants to be left alone was asked %d times, want 1", asked)
			}
		})
	}
}

// The machine knows by its own clock how long a credential lives, whatever the
// cloud's says.
func (s Suite[F]) clocks(t *testing.T) {
	const life = time.Hour
	for _, name := range []string{machineWay, podWay} {
		for _, ahead := range []time.Duration{0, 2 * time.Minute, 2 * time.Hour, -2 * time.Hour} {
			if name == podWay && ahead < 0 {
				continue // a pod's token is not valid yet
			}
			t.Run(fmt.Sprintf("%s, cloud ahead by %s", name, ahead), func(t *testing.T) {
				t.Parallel()
				n := s.boot(t)
				q, identity := n.choose(name)
				if name == podWay {
					// Clouds check a pod's token by their own clock.
					q.Token = n.Token(fake.Shop, n.Audience, 4*time.Hour)
				}
				n.Clock(ahead)
				n.Live(life)
				q = With(q, "--max-kubelet-cache=24h")
				a := n.Ask(q)
				password, keep := a.WantLogin(n.Registry(0), n.Username)
				// Kept until 40 % to 60 % of the life, and not for more than half
				// an hour where a cloud's own rules may change.
				if least, most := 23*time.Minute, 37*time.Minute; keep < least || keep > most {
					t.Errorf("the kubelet keeps a credential of one hour for %s, want %s to %s", keep, least, most)
				}
				if whose, err := n.Whose(q.Image, n.Username, password); err != nil || whose != identity.Owner {
					t.Errorf("the credential of %q, %v, want that of %s", whose, err, identity.Owner)
				}
				n.Cloud.Calls.Reset()
				if again, _ := n.Ask(q).WantLogin(n.Registry(0), n.Username); again != password {
					t.Error("the credential was not kept")
				}
				n.WantCalls()
			})
		}
	}
}
