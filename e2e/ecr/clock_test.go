package ecr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud/aws"
)

// A node whose clock is wrong signs with AWS's time, at the second attempt,
// and knows by its own clock how long the token lives.
func TestAWrongClock(t *testing.T) {
	asNode := func(*node) (question, string) { return question{Image: registry + "/app"}, nodeRole }
	asPod := func(n *node) (question, string) {
		n.addRole(shopRole, shop)
		// STS checks the pod's token by its own clock, too.
		return n.podWith(shop, stsAudience, 3*time.Hour).question(registry + "/app").as(shopRole), shopRole
	}
	for _, test := range []struct {
		name   string
		ask    func(*node) (q question, role string)
		offset time.Duration // of AWS's clock
	}{
		{"right", asNode, 0},
		{"two minutes behind", asNode, 2 * time.Minute},
		{"two hours behind", asNode, 2 * time.Hour},
		{"two hours ahead", asNode, -2 * time.Hour},
		{"two hours behind, for a pod", asPod, 2 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			n.aws.Configure(func(s *aws.Settings) {
				s.Clock = test.offset
				s.Token.Life = time.Hour
			})
			q, role := test.ask(n)
			q.Args = []string{"--max-kubelet-cache=24h"}

			token := n.ask(q).wantCredential(registry, role)
			// Kept until 40 % to 60 % of the life.
			if least, most := 23*time.Minute, 37*time.Minute; token.keep < least || token.keep > most {
				t.Errorf("the kubelet keeps a token of one hour for %s, want %s to %s", token.keep, least, most)
			}
			n.cloud.Calls.Reset()
			if again := n.ask(q).wantCredential(registry, role); again.password != token.password {
				t.Error("the token was not kept")
			}
			n.wantCalls()
		})
	}
}
