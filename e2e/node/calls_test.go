package node_test

import (
	"net/http"

	"regcred/e2e/cloud"
	"regcred/e2e/node/registry"
)

// registryCalls is what a registry was asked so far.
func (n *node) registryCalls(host string) []cloud.Call {
	var calls []cloud.Call
	for _, call := range n.Cloud.Calls.Of(registry.Service, "") {
		if call.Host == host {
			calls = append(calls, call)
		}
	}
	return calls
}

// registryRefused reports whether a registry has refused a credential.
func (n *node) registryRefused(host string) bool {
	for _, call := range n.registryCalls(host) {
		if registry.Shown(call) != "" && call.Status >= http.StatusBadRequest {
			return true
		}
	}
	return false
}

// wantSentNothing fails the test if a registry was sent a password, or was not
// asked for anything.
func (n *node) wantSentNothing(host string) {
	n.t.Helper()
	calls := n.registryCalls(host)
	if len(calls) == 0 {
		n.t.Errorf("%s was never asked", host)
	}
	for _, call := range calls {
		// A Bearer token is the registry's own.
		if registry.Shown(call) == "Basic" {
			n.t.Errorf("%s was sent a password: %s", host, call.Summary)
		}
	}
}

// cloudCalls is how often the cloud was asked for anything but an image.
func (n *node) cloudCalls() int {
	count := 0
	for _, call := range n.Cloud.Calls.All() {
		if call.Service != registry.Service && call.Service != "dns" {
			count++
		}
	}
	return count
}
