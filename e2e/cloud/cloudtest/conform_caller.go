package cloudtest

import (
	"testing"
	"time"
)

// Others than the kubelet run its plugins, such as nydus-snapshotter: with an
// image as a pod has it, and with nothing in the environment.
func (s Suite[F]) otherCallers(t *testing.T) {
	const digest = "@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7"
	n := s.boot(t)
	for _, suffix := range []string{":latest", ":v1.2.3-rc.1_x", digest, ":v1" + digest} {
		t.Run(suffix, func(t *testing.T) {
			n := n.In(t)
			q := n.Question(n.Image(0) + suffix)
			command := q.Command(t.Context(), n.Plugin)
			// Nil would be this process's own.
			command.Env = append([]string{}, q.Env...)
			n.WantLogin(n.Start(command).Answer(), n.Image(0), n.Machine.Owner)
		})
	}
	for _, image := range []string{"docker.io/library/nginx:latest", "registry.example.com/app" + digest} {
		n.Ask(forImage(n.Own(), image)).WantNothing(0, 0)
	}
	n.WantCalls(n.Machine.Calls)
}

// Such a caller takes cacheDuration for the life of the credential, which it
// therefore never exceeds: not when the credential is new, not when it is
// served again, and not if the operator lets the kubelet keep it for longer.
func (s Suite[F]) lives(t *testing.T) {
	for _, name := range []string{machineWay, podWay} {
		if name == podWay && s.NodeOnly {
			continue
		}
		for _, life := range []time.Duration{time.Hour, 5 * time.Minute, 90 * time.Second, 12 * time.Second} {
			t.Run(name+" "+life.String(), func(t *testing.T) {
				t.Parallel()
				n := s.boot(t)
				q, _ := n.choose(name)
				n.Live(life)
				q = With(q, "--max-kubelet-cache=24h")
				passwords := map[string]time.Time{} // with when they were asked for
				for range 4 {
					asked := time.Now()
					response, keep := n.Ask(q).Response()
					password := response.Auth[n.Registry(0)].Password
					if password == "" {
						t.Fatalf("no password: %+v", response)
					}
					if _, known := passwords[password]; !known {
						passwords[password] = asked
					}
					// Each was issued after it was asked for first, and so ends no
					// sooner than this.
					if left := time.Until(passwords[password].Add(life)); keep < 0 || keep > left+time.Since(asked) {
						t.Errorf("to be kept for %s, and it ends in %s", keep, left)
					}
					time.Sleep(min(time.Second, life/12))
				}
			})
		}
	}
}
