package acr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

const (
	registry   = "example.azurecr.io"
	repository = "team/app"
	image      = registry + "/" + repository

	imdsAPI  = "169.254.169.254"
	entraAPI = "login.microsoftonline.com"

	tenant = azure.HomeTenant
	// abroad is another organisation's tenant.
	abroad = "11111111-2222-4333-8444-555555555555"

	// appID is an app registration.
	appID = "a0000000-0000-4000-8000-000000000001"
)

// Identities of the machine.
var (
	system = azure.ManagedIdentity{ClientID: "c0000000-0000-4000-8000-000000000001", ObjectID: "c0000000-0000-4000-8000-000000000002"}
	pull   = azure.ManagedIdentity{
		ClientID: "d0000000-0000-4000-8000-000000000001", ObjectID: "d0000000-0000-4000-8000-000000000002",
		ResourceID: "/subscriptions/e0000000-0000-4000-8000-000000000001/resourceGroups/MC_grün/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull",
	}
	other = azure.ManagedIdentity{ClientID: "d0000000-0000-4000-8000-000000000003", ObjectID: "d0000000-0000-4000-8000-000000000004"}
)

// node is a machine that has just booted: nothing is cached.
type node struct {
	cloudtest.Runner
	azure *azure.Fake
}

// bootNode starts a virtual machine of Azure that lives as long as the test. It
// has a system-assigned identity, which may pull from the one registry.
func bootNode(t *testing.T) *node {
	t.Helper()
	n := bootOutside(t)
	if err := n.azure.PlaceIMDS(n.Cloud); err != nil {
		t.Fatal(err)
	}
	n.assign(azure.InstanceSettings{System: &system})
	n.serve(registry, system.ClientID)
	return n
}

// bootOutside starts a machine that reaches Entra and is not in Azure.
func bootOutside(t *testing.T) *node {
	t.Helper()
	c := cloudtest.Apart(t)
	n := &node{Runner: cloudtest.Runner{T: t, Cloud: c, Plugin: plugin}, azure: azure.New(c.Calls, c.Faults)}
	n.azure.AddTenant(azure.Tenant{ID: abroad, Domain: "fabrikam.onmicrosoft.com", Cloud: azure.Public})
	if err := n.azure.PlaceEntra(c); err != nil {
		t.Fatal(err)
	}
	return n
}

// in is the node as a subtest sees it.
func (n *node) in(t *testing.T) *node {
	inner := *n
	inner.T = t
	return &inner
}

// assign gives the machine identities, in Azure.
func (n *node) assign(identities azure.InstanceSettings) {
	n.azure.Configure(func(s *azure.Settings) { s.IMDS.InstanceSettings = identities })
}

// serve makes a registry from which identities of the home tenant may pull.
func (n *node) serve(host string, clientIDs ...string) {
	n.T.Helper()
	n.serveRegistry(azure.Registry{Hosts: []string{host}, Roles: pullers(tenant, clientIDs...)})
}

// serveRegistry makes a registry at its hosts.
func (n *node) serveRegistry(r azure.Registry) {
	n.T.Helper()
	n.azure.AddRegistry(r)
	if err := n.azure.PlaceRegistries(n.Cloud, r.Hosts...); err != nil {
		n.T.Fatal(err)
	}
}

// pullers may pull from all of a registry.
func pullers(tenant string, clientIDs ...string) []azure.Role {
	var roles []azure.Role
	for _, id := range clientIDs {
		roles = append(roles, azure.Role{Name: azure.AcrPull, Principal: azure.Principal{Tenant: tenant, ClientID: id}})
	}
	return roles
}

// secretFile makes an app and a file with its secret.
func (n *node) secretFile(app azure.App) string {
	n.T.Helper()
	n.azure.AddApp(app)
	return n.file(n.azure.AddSecret(app.ClientID, time.Hour) + "\n")
}

// asApp are the arguments of a node that is an app.
func (n *node) asApp() []string {
	return []string{"--credential=client-secret", "--tenant-id", tenant, "--client-id", appID, "--client-secret-file", n.secretFile(azure.App{ClientID: appID})}
}

// calls is what the cloud was asked, in order: "SERVICE OPERATION HOST".
type calls = cloudtest.Calls

var (
	// askIMDS is one question for the token of an identity of the machine.
	askIMDS = calls{"imds GetToken " + imdsAPI}
	// askEntra is one question for an app's token.
	askEntra = askEntraAt(entraAPI)
	// askArc is a challenge, and one question for a token.
	askArc = calls{"arc GetChallenge 127.0.0.1:40342", "arc GetToken 127.0.0.1:40342"}
	// askExchange is one exchange at the registry.
	askExchange = askExchangeAt(registry)
	// askNode is what it takes to pull as the machine.
	askNode = append(append(calls{}, askIMDS...), askExchange...)
)

func askEntraAt(host string) calls { return calls{"entra GrantToken " + host} }

func askExchangeAt(host string) calls { return calls{"acr Exchange " + host} }

// askScopedAt is one question for a token for one repository.
func askScopedAt(host string) calls { return calls{"acr GetAccessToken " + host} }

// configured is a change of the fake's settings.
func configured(change func(*azure.Settings)) func(*node) {
	return func(n *node) { n.azure.Configure(change) }
}

// struck is a fault of every call of a service.
func struck(service string, fault cloud.Fault) func(*node) {
	return func(n *node) { n.Cloud.Faults.Always(service, "", fault) }
}
