package acr_test

import (
	"maps"
	"slices"
	"testing"

	"regcred/e2e/cloud/azure"
)

// With the flag the kubelet is told of a second way: without a credential. Its
// key is a pattern, which the kubelet tries after a whole host.
func TestTheAnonymousEntryIsThereOnlyIfItIsAskedFor(t *testing.T) {
	t.Parallel()
	for host, pattern := range map[string]string{
		"example.azurecr.io":            "*.azurecr.io",
		"Example.azurecr.io":            "*.azurecr.io",
		"example.azurecr.io:443":        "*.azurecr.io:443",
		"example.eastus.geo.azurecr.io": "*.eastus.geo.azurecr.io",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.serve(loginServer(host), system.ClientID)
			q := question{Image: host + "/" + repository}
			plain := n.ask(q).wantCredential(host, system.ClientID)

			response, keep := n.ask(q.with("--anonymous-fallback")).Response()
			keys := slices.Sorted(maps.Keys(response.Auth))
			if !slices.Equal(keys, slices.Sorted(slices.Values([]string{host, pattern}))) {
				t.Fatalf("answered for %q, want %s and %s", keys, host, pattern)
			}
			if login := response.Auth[host]; login.Username != azure.TokenUser || login.Password != plain.password {
				t.Error("another credential than without the entry")
			}
			if login := response.Auth[pattern]; login.Username != "" || login.Password != "" {
				t.Errorf("the entry of %s is not empty", pattern)
			}
			if keep > plain.keep {
				t.Errorf("the kubelet keeps it for %s, and without the entry for %s", keep, plain.keep)
			}
		})
	}
}

// It says nothing about others' registries, and is no answer by itself.
func TestTheAnonymousEntryIsForAnswersAlone(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.ask(question{Image: "registry.k8s.io/pause", Args: []string{"--anonymous-fallback"}}).wantNothing()
	n.WantCalls()
	n.assign(azure.InstanceSettings{})
	n.ask(question{Image: image, Args: []string{"--anonymous-fallback"}}).WantFailure(1, "imds", "400")
}
