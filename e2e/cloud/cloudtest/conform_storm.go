package cloudtest

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"regcred/e2e/cloud"
)

const stormSize = 30

// atOnce runs the plugin so many times at the same time, each for an image of
// its own.
func (n *Node[F]) atOnce(q Question) []Answer {
	n.T.Helper()
	ctx, cancel := context.WithTimeout(n.T.Context(), Patience)
	defer cancel()
	var runs []*Invocation
	for i := range stormSize {
		image := fmt.Sprintf("%s/%s-%d", n.Registry(0), n.Repository, i)
		runs = append(runs, n.Start(forImage(q, image).Command(ctx, n.Plugin)))
	}
	var answers []Answer
	for _, run := range runs {
		answers = append(answers, run.Answer())
	}
	return answers
}

// A node that boots runs the plugin once for every image that its pods name.
func (s Suite[F]) storm(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		// Otherwise the first would have the answer before the last has begun.
		service, operation := fetch(way.Fetch)
		n.Cloud.Faults.Always(service, operation, cloud.Slow{Delay: 500 * time.Millisecond})
		passwords := map[string]bool{}
		for _, a := range n.atOnce(e.Question) {
			password, _ := a.WantLogin(n.Registry(0), n.Username)
			passwords[password] = true
		}
		if len(passwords) != 1 {
			n.T.Errorf("%d passwords were handed out", len(passwords))
		}
		n.WantCalls(way.Calls)
		n.WantLogin(n.Ask(e.Question), e.Image, e.Owner)
		n.WantCalls()
	})
}

func (s Suite[F]) failingStorm(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		service, operation := fetch(way.Fetch)
		n.Cloud.Faults.Always(service, operation, cloud.Slow{Delay: 500 * time.Millisecond})
		n.Cloud.Faults.Always(service, operation, n.denied(service))
		begin := time.Now()
		for _, a := range n.atOnce(e.Question) {
			a.WantFailure(1)
			a.WantWithin(Later)
		}
		n.WantAtMost(attemptsIn(time.Since(begin)), service, operation)
	})
}

// attemptsIn is how often it is asked at most in some time for what the cloud
// denies: that is believed for some seconds.
func attemptsIn(took time.Duration) int { return 1 + int(took/(2*time.Second)) }

// denied is a refusal that is not worth asking again.
func (n *Node[F]) denied(service string) cloud.Refusal {
	if own, _ := fetch(n.Machine.Fetch); service == own {
		return n.Denied
	}
	return cloud.Refusal{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access is denied."}
}
