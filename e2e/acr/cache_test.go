package acr_test

import (
	"os"
	"testing"
	"time"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// purge removes all that the plugins of a node have kept.
func purge() error { return os.RemoveAll(cloudtest.CacheDir) }

// The machine's token is good for every registry, and a registry's token for all
// its repositories.
func TestThreeRegistriesTakeOneTokenOfTheMachine(t *testing.T) {
	n := bootNode(t)
	hosts := []string{registry, "second.azurecr.io", "third.eastus.geo.azurecr.io"}
	for _, host := range hosts[1:] {
		n.serve(host, system.ClientID)
	}
	for range 2 {
		for _, host := range hosts {
			n.ask(question{Image: host + "/" + repository}).wantCredential(host, system.ClientID)
		}
	}
	n.wantCalls(askIMDS, askExchangeAt(hosts[0]), askExchangeAt(hosts[1]), askExchangeAt(hosts[2]))
}

func TestARegistryIsAskedOnce(t *testing.T) {
	n := bootNode(t)
	cold := n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	n.wantCalls(askNode)
	if cold.keep != 10*time.Minute {
		t.Errorf("the kubelet keeps it for %s, want 10m", cold.keep)
	}
	for _, again := range []struct{ image, host string }{
		{image, registry},
		{registry + "/another/tool", registry},
		{image + ":v1@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7", registry},
		{"EXAMPLE.azurecr.io/team/app", "EXAMPLE.azurecr.io"},
		{registry + ":443/team/app", registry + ":443"},
	} {
		warm := n.ask(question{Image: again.image}).wantCredential(again.host, system.ClientID)
		if warm.password != cold.password {
			t.Errorf("%s: another token than the first", again.image)
		}
	}
	n.wantCalls()
}

func TestIdentitiesOfTheMachineAreKeptApart(t *testing.T) {
	n := bootNode(t)
	n.assign(azure.InstanceSettings{System: &system, User: []azure.ManagedIdentity{pull}})
	n.serve(registry, system.ClientID, pull.ClientID)
	for range 2 {
		n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
		n.ask(question{Image: image, Args: []string{"--client-id", pull.ClientID}}).wantCredential(registry, pull.ClientID)
	}
	n.wantCalls(askNode, askNode)
}

// One app, proved in two ways, or with two secrets of which one is wrong.
func TestProofsOfAnAppAreKeptApart(t *testing.T) {
	n := bootNode(t)
	n.serve(registry, appID)
	n.ask(question{Image: image, Args: n.asApp()}).wantCredential(registry, appID)
	wrong := appArgs("client-secret", "--client-secret-file", cloudtest.File(t, "another"))
	n.ask(question{Image: image, Args: wrong}).wantFailure(1, "AADSTS7000215")
	n.wantCalls(askEntra, askExchange, askEntra)
}

func TestAnotherAudienceIsAnotherToken(t *testing.T) {
	const audience = "https://acr.example"
	n := bootNode(t)
	n.azure.Configure(func(s *azure.Settings) { s.Resources = []string{audience} })
	n.serveRegistry(azure.Registry{Hosts: []string{"odd.azurecr.io"}, Audience: audience, Roles: pullers(tenant, system.ClientID)})
	n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	n.ask(question{Image: "odd.azurecr.io/" + repository, Args: []string{"--audience", audience}}).wantCredential("odd.azurecr.io", system.ClientID)
	n.wantCalls(askNode, askIMDS, askExchangeAt("odd.azurecr.io"))
}

func TestTheCacheIsForItsOwnerOnly(t *testing.T) {
	n := bootNode(t)
	n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	cloudtest.WantPrivateCache(t)
}

func TestWithoutACacheEveryRunAsks(t *testing.T) {
	n := bootNode(t)
	for range 2 {
		n.ask(question{Image: image, Args: []string{"--cache-dir="}}).wantCredential(registry, system.ClientID)
		n.wantCalls(askNode)
	}
	if _, err := os.Stat(cloudtest.CacheDir); !os.IsNotExist(err) {
		t.Errorf("%s: %v, want it not to exist", cloudtest.CacheDir, err)
	}
}

// A password for a repository is asked for with a token that the registry may
// have made useless. It says so, and the plugin asks for another one.
func TestAfterTheSwitchToPermissionsByRepositoryARepositorysPasswordHealsByItself(t *testing.T) {
	n := bootNode(t)
	n.scoped(question{Image: image}, registry, repository, system.ClientID)
	cloudtest.AgeCache(t, 2*time.Minute)
	n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, ABAC: true, Roles: []azure.Role{
		{Name: azure.RepositoryReader, Principal: azure.Principal{Tenant: tenant, ClientID: system.ClientID}, Repositories: []string{"other/tool"}},
	}})
	n.cloud.Calls.Reset()
	n.scoped(question{Image: registry + "/other/tool"}, registry, "other/tool", system.ClientID)
	n.wantCalls(askScoped, askExchange, askScoped)
	n.scoped(question{Image: registry + "/other/tool"}, registry, "other/tool", system.ClientID)
	n.wantCalls()
	// Another token would not help who has no right: this one is only just new.
	n.ask(question{Image: image + "-2", Args: []string{"--scope=repository"}}).wantFailure(1, registry, "401", "AcrPull", "Container Registry Repository Reader")
	n.wantCalls(askScoped)
}

// An identity that is made anew has the name of the old one, whose token is
// refused in spite of its life.
func TestAnIdentityThatIsMadeAnewHealsByItself(t *testing.T) {
	n := bootNode(t)
	old, reborn := pull, other
	reborn.ResourceID = old.ResourceID
	n.assign(azure.InstanceSettings{User: []azure.ManagedIdentity{old}})
	n.serve(registry, old.ClientID)
	q := question{Image: image, Args: []string{"--resource-id", old.ResourceID}}
	n.ask(q).wantCredential(registry, old.ClientID)
	n.wantCalls(askNode)

	n.assign(azure.InstanceSettings{User: []azure.ManagedIdentity{reborn}})
	n.serve("second.azurecr.io", reborn.ClientID)
	n.serve("third.azurecr.io", reborn.ClientID)
	second := question{Image: "second.azurecr.io/" + repository, Args: q.Args}
	// A token that is only just new is not asked for again.
	n.ask(second).wantFailure(1, "second.azurecr.io", "401")
	n.wantCalls(askExchangeAt("second.azurecr.io"))
	cloudtest.AgeCache(t, 2*time.Minute)
	third := question{Image: "third.azurecr.io/" + repository, Args: q.Args}
	n.ask(third).wantCredential("third.azurecr.io", reborn.ClientID)
	n.wantCalls(askExchangeAt("third.azurecr.io"), askIMDS, askExchangeAt("third.azurecr.io"))
}

// Permissions by repository make all earlier tokens useless. The registry says
// so to the runtime and not to the plugin, so the operator empties the cache.
func TestAfterTheSwitchToPermissionsByRepositoryAPurgeHelps(t *testing.T) {
	n := bootNode(t)
	old := n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, ABAC: true, Roles: []azure.Role{
		{Name: azure.RepositoryReader, Principal: azure.Principal{Tenant: tenant, ClientID: system.ClientID}},
	}})
	response, _ := n.ask(question{Image: image}).Response()
	if served := response.Auth[registry].Password; served != old.password || n.azure.Pull(registry, azure.TokenUser, served, repository) == nil {
		t.Fatal("the old token was not served, or is still good: there is nothing to purge")
	}
	n.wantCalls(askNode)
	if err := purge(); err != nil {
		t.Fatal(err)
	}
	n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	n.wantCalls(askNode)
}
