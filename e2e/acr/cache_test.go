package acr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// The machine's token is good for every registry, and a registry's token for all
// its repositories.
func TestThreeRegistriesTakeOneTokenOfTheMachine(t *testing.T) {
	t.Parallel()
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
	n.WantCalls(askIMDS, askExchangeAt(hosts[0]), askExchangeAt(hosts[1]), askExchangeAt(hosts[2]))
}

func TestIdentitiesOfTheMachineAreKeptApart(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.assign(azure.InstanceSettings{System: &system, User: []azure.ManagedIdentity{pull}})
	n.serve(registry, system.ClientID, pull.ClientID)
	for range 2 {
		n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
		n.ask(question{Image: image, Args: []string{"--client-id", pull.ClientID}}).wantCredential(registry, pull.ClientID)
	}
	n.WantCalls(askNode, askNode)
}

// One app, proved in two ways, or with two secrets of which one is wrong.
func TestProofsOfAnAppAreKeptApart(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.serve(registry, appID)
	n.ask(question{Image: image, Args: n.asApp()}).wantCredential(registry, appID)
	wrong := appArgs("client-secret", "--client-secret-file", cloudtest.File(t, "another"))
	n.ask(question{Image: image, Args: wrong}).WantFailure(1, "AADSTS7000215")
	n.WantCalls(askEntra, askExchange, askEntra)
}

func TestAnotherAudienceIsAnotherToken(t *testing.T) {
	t.Parallel()
	const audience = "https://acr.example"
	n := bootNode(t)
	n.azure.Configure(func(s *azure.Settings) { s.Resources = []string{audience} })
	n.serveRegistry(azure.Registry{Hosts: []string{"odd.azurecr.io"}, Audience: audience, Roles: pullers(tenant, system.ClientID)})
	n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	n.ask(question{Image: "odd.azurecr.io/" + repository, Args: []string{"--audience", audience}}).wantCredential("odd.azurecr.io", system.ClientID)
	n.WantCalls(askNode, askIMDS, askExchangeAt("odd.azurecr.io"))
}

// A password for a repository is asked for with a token that the registry may
// have made useless. It says so, and the plugin asks for another one.
func TestAfterTheSwitchToPermissionsByRepositoryARepositorysPasswordHealsByItself(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.scoped(question{Image: image}, registry, repository, system.ClientID)
	cloudtest.AgeCache(t, n.Cloud, 2*time.Minute)
	n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, ABAC: true, Roles: []azure.Role{
		{Name: azure.RepositoryReader, Principal: azure.Principal{Tenant: tenant, ClientID: system.ClientID}, Repositories: []string{"other/tool"}},
	}})
	n.Cloud.Calls.Reset()
	n.scoped(question{Image: registry + "/other/tool"}, registry, "other/tool", system.ClientID)
	n.WantCalls(askScoped, askExchange, askScoped)
	n.scoped(question{Image: registry + "/other/tool"}, registry, "other/tool", system.ClientID)
	n.WantCalls()
	// Another token would not help who has no right: this one is only just new.
	n.ask(question{Image: image + "-2", Args: []string{"--scope=repository"}}).WantFailure(1, registry, "401", "AcrPull", "Container Registry Repository Reader")
	n.WantCalls(askScoped)
}

// An identity that is made again has the name of the old one, whose token is
// refused in spite of its life.
func TestAnIdentityThatIsMadeAnewHealsByItself(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	old, reborn := pull, other
	reborn.ResourceID = old.ResourceID
	n.assign(azure.InstanceSettings{User: []azure.ManagedIdentity{old}})
	n.serve(registry, old.ClientID)
	q := question{Image: image, Args: []string{"--resource-id", old.ResourceID}}
	n.ask(q).wantCredential(registry, old.ClientID)
	n.WantCalls(askNode)

	n.assign(azure.InstanceSettings{User: []azure.ManagedIdentity{reborn}})
	n.serve("second.azurecr.io", reborn.ClientID)
	n.serve("third.azurecr.io", reborn.ClientID)
	second := question{Image: "second.azurecr.io/" + repository, Args: q.Args}
	// A token that is only just new is not asked for again.
	n.ask(second).WantFailure(1, "second.azurecr.io", "401")
	n.WantCalls(askExchangeAt("second.azurecr.io"))
	cloudtest.AgeCache(t, n.Cloud, 2*time.Minute)
	third := question{Image: "third.azurecr.io/" + repository, Args: q.Args}
	n.ask(third).wantCredential("third.azurecr.io", reborn.ClientID)
	n.WantCalls(askExchangeAt("third.azurecr.io"), askIMDS, askExchangeAt("third.azurecr.io"))
}

// Permissions by repository make all earlier tokens useless. The registry says
// so to the runtime and not to the plugin, so the operator empties the cache.
func TestAfterTheSwitchToPermissionsByRepositoryAPurgeHelps(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	old := n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, ABAC: true, Roles: []azure.Role{
		{Name: azure.RepositoryReader, Principal: azure.Principal{Tenant: tenant, ClientID: system.ClientID}},
	}})
	response, _ := n.ask(question{Image: image}).Response()
	if served := response.Auth[registry].Password; served != old.password || n.azure.Pull(registry, azure.TokenUser, served, repository) == nil {
		t.Fatal("the old token was not served, or is still good: there is nothing to purge")
	}
	n.WantCalls(askNode)
	cloudtest.Purge(t, n.Cloud)
	n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	n.WantCalls(askNode)
}
