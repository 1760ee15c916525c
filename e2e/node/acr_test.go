package node_test

import (
	"crypto/sha256"
	"fmt"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/node/registry"
)

// acrNodeIdentity is the system-assigned identity of the machine.
var acrNodeIdentity = azure.ManagedIdentity{
	ClientID: "0c1f6f2e-8d0b-4d46-9d0d-5c8a4e3f2b10",
	ObjectID: "6f5e4d3c-2b1a-4f0e-9d8c-7b6a59483726",
}

// Regional endpoints are registries of their own to the kubelet.
var acrHosts = []string{
	"team0.azurecr.io", "team1.azurecr.io", "team2.eastus.geo.azurecr.io", "team3.azurecr.io",
	"contosoacrregistry-e7ggejfuhzhgedc8.azurecr.io", "team5.azurecr.io",
	"team6-d7ezgzevdwfvc8ht.westeurope.geo.azurecr.io", "team7.azurecr.io", "team8.azurecr.io", "team9.azurecr.io",
	"team10.azurecr.io", "team11.azurecr.io", "team12.azurecr.io", "team13.azurecr.io", "team14.azurecr.io", "team15.azurecr.io",
}

const acrPublic = "public.azurecr.io"

// acr is Azure with a virtual machine that has an identity, and with registries
// that have permissions by repository: everybody here has one that no
// repository meets, so that they are refused by the registry when they pull.
type acr struct {
	calls    *cloud.Calls
	azure    *azure.Fake
	policies registry.Policies

	workloads []string // client ids
	nodeLost  bool
}

func placeACR(c *cloud.Cloud) (account, error) {
	a := &acr{calls: c.Calls, azure: azure.New(c.Calls, c.Faults)}
	if err := a.azure.Place(c); err != nil {
		return nil, err
	}
	a.azure.Configure(func(s *azure.Settings) { s.IMDS.System = &acrNodeIdentity })
	a.regainIdentity()

	var fronts []registry.Front
	for _, host := range append([]string{acrPublic}, acrHosts...) {
		fronts = append(fronts, registry.ACR(host, a.azure, &a.policies, time.Now))
	}
	return a, registry.Place(c, fronts...)
}

func (a *acr) registry(number int) string { return acrHosts[number] }

func (a *acr) lookAlike() string { return a.registry(0) + ".evil.com" }

// The plugin answers for a registry that lets everybody pull as for any other.
func (a *acr) public(name string) (image string, asNode bool) {
	image = acrPublic + "/library/" + name + ":v1"
	a.policies.Allow(repository(image), registry.AnonymousPull)
	return image, true
}

func (a *acr) nodeMayRead(image string) {
	a.policies.Allow(repository(image), acrNodeIdentity.ClientID)
}

// workload makes a managed identity with a federated credential for the service
// account.
func (a *acr) workload(namespace, name string) map[string]string {
	clientID := acrWorkload(namespace, name)
	a.azure.AddApp(azure.App{ClientID: clientID, Federated: []azure.FederatedCredential{{
		Issuer:   a.azure.Issuer.URL,
		Subject:  "system:serviceaccount:" + namespace + ":" + name,
		Audience: "api://AzureADTokenExchange",
	}}})
	a.workloads = append(a.workloads, clientID)
	a.assignRoles()
	return map[string]string{
		"kubernetes.azure.com/acr-client-id": clientID,
		"kubernetes.azure.com/acr-tenant-id": azure.HomeTenant,
	}
}

func (a *acr) workloadMayRead(namespace, name, image string) {
	a.policies.Allow(repository(image), acrWorkload(namespace, name))
}

// acrWorkload is the client id of a service account's identity.
func acrWorkload(namespace, name string) string {
	sum := sha256.Sum256([]byte(namespace + "/" + name))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// assignRoles lets everybody have refresh tokens of all registries.
func (a *acr) assignRoles() {
	principals := a.workloads
	if !a.nodeLost {
		principals = append([]string{acrNodeIdentity.ClientID}, principals...)
	}
	var roles []azure.Role
	for _, clientID := range principals {
		roles = append(roles, azure.Role{
			Name:         azure.RepositoryReader,
			Principal:    azure.Principal{Tenant: azure.HomeTenant, ClientID: clientID},
			Repositories: []string{},
		})
	}
	for _, host := range append([]string{acrPublic}, acrHosts...) {
		a.azure.AddRegistry(azure.Registry{Hosts: []string{host}, ABAC: true, Roles: roles})
	}
}

// What Azure says is not known; the fake says who it is that may not read.
func (a *acr) refusal(namespace, name string) string {
	return acrWorkload(namespace, name) + " may not pull"
}

func (a *acr) issuer() *oidc.Issuer { return a.azure.Issuer }

func (a *acr) fetches() int { return a.calls.Count("acr", "Exchange") }

func (a *acr) tokensLive(life time.Duration) {
	a.azure.Configure(func(s *azure.Settings) { s.ACR.Refresh.Life = life })
}

func (a *acr) slowDown(faults *cloud.Faults, delay time.Duration) {
	faults.Always("acr", "Exchange", cloud.Slow{Delay: delay})
}

func (a *acr) goDown(faults *cloud.Faults) {
	for _, service := range []string{"imds", "entra", "acr"} {
		faults.Always(service, "", cloud.Reset{})
	}
}

// Whoever has an Entra token of the node's goes on to have it: what is taken
// away are its roles.
func (a *acr) loseIdentity() []string {
	a.nodeLost = true
	a.assignRoles()
	return []string{"exchange at ", "status 401 UNAUTHORIZED", "AcrPull, or Container Registry Repository Reader"}
}

func (a *acr) regainIdentity() {
	a.nodeLost = false
	a.assignRoles()
}
