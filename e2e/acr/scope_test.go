package acr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud/azure"
)

// askScoped is one question for a token for one repository of the registry.
var askScoped = askScopedAt(registry)

// scoped asks for an image with a password that is good for it alone, and fails
// the test unless the password pulls it and nothing else.
func (n *node) scoped(q question, host, repository, clientID string) issued {
	n.T.Helper()
	q.Args = append(append([]string{}, q.Args...), "--scope=repository")
	password, keep := n.ask(q).WantImageLogin(host, azure.TokenUser)
	token, ok := n.azure.Credential(password)
	if !ok || token.Repository != repository || token.Principal.ClientID != clientID {
		n.T.Fatalf("the password is known: %t, as that of %+v for %q", ok, token.Principal, token.Repository)
	}
	for other, want := range map[string]bool{repository: true, repository + "-other": false, "team": false} {
		if err := n.azure.Pull(loginServer(host), azure.TokenUser, password, other); (err == nil) != want {
			n.T.Errorf("%s can be pulled: %v, want it: %t", other, err, want)
		}
	}
	if left := time.Until(token.Expires); keep < 0 || keep > left {
		n.T.Errorf("the kubelet keeps for %s a token that ends in %s", keep, left)
	}
	return issued{Credential: token, password: password, keep: keep}
}

func TestAPasswordForARepositoryPullsNothingElse(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	first := n.scoped(question{Image: image + ":v1"}, registry, repository, system.ClientID)
	n.WantCalls(askNode, askScoped)
	if left := time.Until(first.Expires); left > 75*time.Minute {
		t.Errorf("the password lives for %s", left)
	}
	for _, again := range []string{image + ":v2", image + "@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7"} {
		if n.scoped(question{Image: again}, registry, repository, system.ClientID).password != first.password {
			t.Error("another password for another tag")
		}
	}
	n.WantCalls()

	// Another repository shares all but the last step.
	n.scoped(question{Image: registry + "/other/tool"}, registry, "other/tool", system.ClientID)
	n.WantCalls(askScoped)
	n.scoped(question{Image: "Example.azurecr.io:443/other/tool"}, "Example.azurecr.io:443", "other/tool", system.ClientID)
	n.WantCalls()
}

// What is for all of a registry and what is for a part of it are two things.
func TestScopesAreKeptApart(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	whole := n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
	part := n.scoped(question{Image: image}, registry, repository, system.ClientID)
	if whole.Repository != "" || part.password == whole.password {
		t.Error("one password for both scopes")
	}
	n.WantCalls(askNode, askScoped)
}

// Permissions by repository are looked at for the repository.
func TestARepositoryThatMayNotBePulledIsRefused(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.azure.AddRegistry(azure.Registry{Hosts: []string{registry}, ABAC: true, Roles: []azure.Role{
		{Name: azure.RepositoryReader, Principal: azure.Principal{Tenant: tenant, ClientID: system.ClientID}, Repositories: []string{repository}},
	}})
	n.scoped(question{Image: image}, registry, repository, system.ClientID)
	n.Cloud.Calls.Reset()
	n.ask(question{Image: registry + "/other/tool", Args: []string{"--scope=repository"}}).
		WantFailure(1, registry, "401", "other/tool", "Container Registry Repository Reader")
	n.WantCalls(askScoped)
}

func TestAPodsPasswordForARepository(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.trust(appID, shop)
	n.serve(registry, appID)
	q := n.pod(shop, podAudience, time.Hour).question(clientAnnotation, appID, tenantAnnotation, tenant)
	n.scoped(q, registry, repository, appID)
	n.WantCalls(askEntra, askExchange, askScoped)
}

// A mirror with a path has its copies under it.
func TestAMirrorsPasswordForARepositoryUnderAPath(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	q := question{Image: "mcr.microsoft.com/" + repository, Args: []string{"-r", "mcr.microsoft.com:" + registry + "/aks", "--scope=repository"}}
	password, _ := n.ask(q).WantImageLogin("mcr.microsoft.com", azure.TokenUser)
	if token, ok := n.azure.Credential(password); !ok || token.Repository != "aks/"+repository {
		t.Errorf("the password is known: %t, as for %q", ok, token.Repository)
	}
}

func TestAMirrorsPasswordForARepository(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	q := question{Image: "mcr.microsoft.com/" + repository, Args: []string{"-r", "mcr.microsoft.com:" + registry, "--scope=repository"}}
	password, _ := n.ask(q).WantImageLogin("mcr.microsoft.com", azure.TokenUser)
	if err := n.azure.Pull(registry, azure.TokenUser, password, repository); err != nil {
		t.Error(err)
	}
}
