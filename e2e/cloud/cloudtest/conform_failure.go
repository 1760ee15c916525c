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

// most is how often an operation is asked for at most before it is given up.
const most = 10

// Every failure is one line that says where, with whose rights, what came back
// and what to do. The next run does not ask again at once: it repeats what was
// recorded. Nobody is asked in a pod's place.
func (s Suite[F]) failures(t *testing.T) {
	for _, fault := range []struct {
		name  string
		fault cloud.Fault
		says  string
		// passes is of what may be well in a moment, as what came as a success and
		// is none.
		passes bool
	}{
		{"throttled", cloud.Refusal{Status: http.StatusTooManyRequests, Code: "TooManyRequests", Message: "Rate exceeded"}, "429", true},
		{"server error", cloud.Refusal{Status: http.StatusInternalServerError, Code: "InternalError", Message: "It broke"}, "500", true},
		{"unavailable", cloud.Refusal{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "Slow down"}, "503", true},
		{"forbidden", cloud.Refusal{Status: http.StatusForbidden, Code: "Forbidden", Message: "No"}, "403", false},
		{"reset", cloud.Reset{}, "connection reset", true},
		{"no body", cloud.Empty, "", true},
		{"a page instead of an answer", cloud.NotJSON, "", true},
		{"truncated", cloud.Truncated, "", true},
		{"oversized", cloud.Oversized, "larger than 1 MiB", true},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			s.eachService(t, func(n *Node[F], e Errand, service, host string) {
				n.Cloud.Faults.Always(service, "", fault.fault)
				says := []string{n.Registry(0) + ": ", host, fault.says}
				if e.pod {
					says = append(says, "service account shop/web")
				}
				first := n.Ask(e.Question)
				first.WantFailure(1, says...)
				first.WantWithin(Later)
				asked := map[string]int{}
				for _, call := range n.Cloud.Calls.Of(service, "") {
					asked[call.Operation]++
				}
				if len(asked) == 0 {
					n.T.Errorf("%s was not asked", service)
				}
				for operation, count := range asked {
					if count > most {
						n.T.Errorf("%s was asked for %d times", operation, count)
					}
				}
				if e.pod {
					n.WantNever(s.machines(n)...)
				}
				n.WantRecorded(e.Question, says...)
				if fault.passes {
					wantPassing(n.T, n.Cloud)
				}
			})
		})
	}
}

func (s Suite[F]) lostIdentity(t *testing.T) {
	n := s.boot(t)
	says := append(n.Lose(), n.Registry(0)+": ")
	first := n.Ask(n.Own())
	first.WantFailure(1, says...)
	first.WantWithin(Soon)
	n.WantRecorded(n.Own(), says...)
	if !s.NodeOnly { // a pod has its own
		shop := n.Workload(fake.Shop)
		n.WantLogin(n.Ask(n.Pod(fake.Shop, shop)), n.Image(0), shop.Owner)
	}
	n.Regain()
	Eventually(t, "the failure is forgotten", func() bool { return n.Ask(n.Own()).Exit == 0 })
}

// What may pass by itself is tried again before it is a failure.
func (s Suite[F]) hiccups(t *testing.T) {
	for name, fault := range map[string]cloud.Fault{
		"throttled":    cloud.Refusal{Status: http.StatusTooManyRequests, Code: "TooManyRequests"},
		"server error": cloud.Refusal{Status: http.StatusInternalServerError, Code: "InternalError"},
		"bad gateway":  cloud.Refusal{Status: http.StatusBadGateway},
		"unavailable":  cloud.Refusal{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", RetryAfter: time.Second},
		"reset":        cloud.Reset{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.ways(t, func(n *Node[F], way Way[F], e Errand) {
				for _, call := range way.Calls {
					n.Cloud.Faults.First(1, serviceOf(call), operationOf(call), fault)
				}
				a := n.Ask(e.Question)
				n.WantLogin(a, e.Image, e.Owner)
				a.WantWithin(Later)
				n.wantAsked(2, way.Fetch)
			})
		})
	}
}

// The kubelet kills a plugin after a minute. An attempt that hangs is given up
// long before that, and made again.
func (s Suite[F]) hangs(t *testing.T) { s.givenUp(t, cloud.Hang{}, Later) }

func (s Suite[F]) stalls(t *testing.T) { s.givenUp(t, cloud.Stall{}, Later) }

func (s Suite[F]) givenUp(t *testing.T, fault cloud.Fault, limit time.Duration) {
	t.Helper()
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		service, operation := fetch(way.Fetch)
		n.Cloud.Faults.First(1, service, operation, fault)
		a := n.Ask(e.Question)
		n.WantLogin(a, e.Image, e.Owner)
		a.WantWithin(limit)
		n.wantAsked(2, way.Fetch)
	})
}

// wantAsked fails the test unless an operation was asked for so many times.
func (n *Node[F]) wantAsked(want int, fetched string) {
	n.T.Helper()
	service, operation := fetch(fetched)
	if asked := n.Cloud.Calls.Count(service, operation); asked != want {
		n.T.Errorf("%s was asked for %d times, want %d", operation, asked, want)
	}
}

// Services take seconds on a machine that has just started. Who is waited for is
// not asked again.
func (s Suite[F]) slow(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		service, operation := fetch(way.Fetch)
		n.Cloud.Faults.Always(service, operation, cloud.Slow{Delay: 6 * time.Second})
		n.WantLogin(n.Ask(e.Question), e.Image, e.Owner)
		n.WantAtMost(1, service, operation)
	})
}

func (s Suite[F]) retryAfter(t *testing.T) {
	t.Run("is waited for", func(t *testing.T) {
		t.Parallel()
		s.ways(t, func(n *Node[F], way Way[F], e Errand) {
			service, operation := fetch(way.Fetch)
			n.Cloud.Faults.First(1, service, operation, cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: 2 * time.Second})
			a := n.Ask(e.Question)
			n.WantLogin(a, e.Image, e.Owner)
			if a.Took < 2*time.Second {
				n.T.Errorf("asked again within %s", a.Took)
			}
			n.wantAsked(2, way.Fetch)
		})
	})
	const longest = 5 * time.Minute // that a cloud can ask for and get
	for _, after := range []time.Duration{40 * time.Second, 2 * time.Minute, 200 * 365 * 24 * time.Hour} {
		t.Run("is recorded if it is "+after.String(), func(t *testing.T) {
			t.Parallel()
			s.ways(t, func(n *Node[F], way Way[F], e Errand) {
				service, operation := fetch(way.Fetch)
				n.Cloud.Faults.Always(service, operation, cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: after})
				begin := time.Now()
				first := n.Ask(e.Question)
				first.WantFailure(1, "429")
				n.wantAsked(1, way.Fetch)
				n.Cloud.Calls.Reset()
				again := n.Ask(e.Question)
				again.WantFailure(1, "429")
				n.WantCalls()
				most := min(after, longest)
				least := most - time.Since(begin) - time.Second
				if left := again.NextAttempt(); left < least || left > most {
					n.T.Errorf("the next attempt is in %s, want %s to %s", left, least, most)
				}
			})
		})
	}
}

// A node that fails does not ask more and more often.
func (s Suite[F]) burst(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		service, operation := fetch(way.Fetch)
		n.Cloud.Faults.Always(service, operation, n.denied(service))
		begin := time.Now()
		for i := range 20 {
			n.Ask(forImage(e.Question, fmt.Sprintf("%s-%d", e.Image, i))).WantFailure(1)
		}
		n.WantAtMost(attemptsIn(time.Since(begin)), service, operation)
	})
}

// What comes from outside is one line and bounded, whatever it is.
func (s Suite[F]) messages(t *testing.T) {
	s.eachService(t, func(n *Node[F], e Errand, service, host string) {
		n.Cloud.Faults.Always(service, "", cloud.Refusal{
			Status: http.StatusForbidden, Code: "Deni\ned", Message: "no\nno\r\x1b[31m\u2028 " + strings.Repeat("no ", 10000),
		})
		a := n.Ask(e.Question)
		a.WantFailure(1, host, "403")
		if len(a.Stderr) > 2200 || strings.ContainsAny(a.Stderr, "\x1b\u2028") {
			n.T.Errorf("%d characters, or one that terminals obey: %q", len(a.Stderr), a.Stderr)
		}
	})
}
