package node_test

import (
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/node/registry"
)

func expiryBetweenPulls(n *node) {
	const life = 12 * time.Second
	n.Live(life)
	before, host := n.fetches(), n.newRegistry()
	first := n.pod("first", n.imageOf(host, "first"))
	n.run(first)
	n.wantRunning(first)
	n.wantFetches(before, 1)

	time.Sleep(life)
	second := n.pod("second", n.imageOf(host, "second"))
	n.run(second)
	n.wantRunning(second)
	n.wantFetches(before, 2)
	if n.registryRefused(host) {
		n.t.Error("the registry was sent a credential that had expired")
	}
}

// Kubelet gets the credential before the pull's turn comes. When that takes
// too long the pull fails, and the next attempt has a new credential.
func expiryInTheQueue(n *node) {
	const life = 4 * time.Second
	n.Live(life)
	ahead := "registry.k8s.io/slow:v1"
	n.push(ahead)
	n.Cloud.Faults.First(1, registry.Service, "GetManifest", cloud.Slow{Delay: 2 * life})
	before := n.fetches()
	image := n.newImage()

	slow, queued := n.pod("slow", ahead), n.pod("queued", image)
	asked := len(n.registryCalls(host(ahead)))
	n.run(slow)
	n.eventually("the slow pull begins", func() string {
		if len(n.registryCalls(host(ahead))) == asked {
			return "the registry was not asked"
		}
		return ""
	})
	n.run(queued)
	n.wantRunning(slow, queued)
	if fetches := n.fetches() - before; fetches < 2 {
		n.t.Errorf("%d credentials were fetched, want another one for the next attempt", fetches)
	}
	if !n.registryRefused(host(image)) {
		n.t.Error("the registry has refused nothing: the credential did not expire in the queue")
	}
}
