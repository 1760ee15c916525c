package azure

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// Where a service account names its identity.
const (
	ClientAnnotation = "kubernetes.azure.com/acr-client-id"
	TenantAnnotation = "kubernetes.azure.com/acr-tenant-id"
)

// NodeIdentity is the user-assigned identity of the machine that Boot boots.
var NodeIdentity = ManagedIdentity{
	ClientID: "0c1f6f2e-8d0b-4d46-9d0d-5c8a4e3f2b10", ObjectID: "6f5e4d3c-2b1a-4f0e-9d8c-7b6a59483726",
	ResourceID: "/subscriptions/e0000000-0000-4000-8000-000000000001/resourceGroups/MC_example/providers/Microsoft.ManagedIdentity/userAssignedIdentities/kubelet",
}

// bootRegistries have names of every form. Regional endpoints are registries of
// their own to the kubelet.
var bootRegistries = []string{
	"example.azurecr.io", "second.azurecr.io", "third.eastus.geo.azurecr.io", "team3.azurecr.io",
	"contosoacrregistry-e7ggejfuhzhgedc8.azurecr.io", "team5.azurecr.io",
	"team6-d7ezgzevdwfvc8ht.westeurope.geo.azurecr.io", "team7.azurecr.io", "team8.azurecr.io", "team9.azurecr.io",
	"team10.azurecr.io", "team11.azurecr.io", "team12.azurecr.io", "team13.azurecr.io", "team14.azurecr.io", "team15.azurecr.io",
}

// Kind boots virtual machines of Azure.
func Kind() fake.Kind { return fake.NewKind("azure", "acr-credential-provider", Boot) }

// Boot starts a node of AKS: its kubelet's identity is assigned to the machine
// and named by azure.json. Service accounts have an application with
// federated credentials for them. All may pull from every registry.
func Boot(c *cloud.Cloud) (*Fake, *fake.Node, error) {
	f := New(c.Calls, c.Faults)
	if err := errors.Join(f.Place(c), f.PlaceRegistries(c, bootRegistries...)); err != nil {
		return nil, nil, err
	}
	file, err := c.WriteFile("azure.json", []byte(`{
    "cloud": "AzurePublicCloud",
    "tenantId": "`+HomeTenant+`",
    "aadClientId": "msi",
    "aadClientSecret": "msi",
    "useManagedIdentityExtension": true,
    "userAssignedIdentityID": "`+NodeIdentity.ClientID+`"
}
`))
	if err != nil {
		return nil, nil, err
	}
	f.Configure(func(s *Settings) { s.IMDS.User = []ManagedIdentity{NodeIdentity} })
	pullers := &pullers{fake: f}
	pullers.add(NodeIdentity.ClientID)

	exchange := "acr Exchange " + bootRegistries[0]
	identity := func(clientID string, way string) fake.Identity {
		return fake.Identity{Owner: clientID, Calls: []string{way, exchange}, Refresh: []string{exchange}, Fetch: "acr Exchange"}
	}
	return f, &fake.Node{
		Kind:       Kind(),
		Cloud:      c,
		Issuer:     f.Issuer,
		Args:       []string{file},
		Registry:   func(number int) string { return bootRegistries[number] },
		Repository: "team/app",
		LookAlike:  bootRegistries[0] + ".evil.com",
		Username:   TokenUser,
		Whose:      f.whose,
		Secrets:    func() []string { return slices.Concat(f.tokens.Secrets(), f.registries.issued.Secrets()) },
		Machine:    identity(NodeIdentity.ClientID, "imds GetToken 169.254.169.254"),
		Workload: func(accounts ...oidc.ServiceAccount) fake.Identity {
			clientID := clientIDOf(accounts[0])
			app := App{ClientID: clientID}
			for _, subject := range oidc.Subjects(accounts) {
				app.Federated = append(app.Federated, FederatedCredential{Issuer: f.Issuer.URL, Subject: subject, Audience: federationAudience[Public]})
			}
			f.AddApp(app)
			pullers.add(clientID)
			own := identity(clientID, "entra GrantToken login.microsoftonline.com")
			own.Annotations = map[string]string{ClientAnnotation: clientID, TenantAnnotation: HomeTenant}
			return own
		},
		Audience: federationAudience[Public],
		Services: []string{"imds", "arc", "entra", "acr", "identitybinding"},
		Local:    []string{"imds", "arc", "identitybinding"},
		Endpoints: []fake.Endpoint{
			{Name: "169.254.169.254", What: "the instance metadata service"},
			{Name: "login.microsoftonline.com", What: "Microsoft Entra, and that of every other cloud"},
			{Name: bootRegistries[0], What: "a registry, and 15 others"},
		},
		Denied: unauthorized("authentication required, visit https://aka.ms/acr/authorization for more information."),
		Live: func(life time.Duration) {
			f.Configure(func(s *Settings) { s.ACR.Refresh.Life, s.ACR.Access.Life = life, life })
		},
		Clock: func(ahead time.Duration) { f.Configure(func(s *Settings) { s.Clock = ahead }) },
		// Whoever has an Entra token of the node's goes on to have it: what is
		// taken away are its roles.
		Lose: func() []string {
			pullers.remove(NodeIdentity.ClientID)
			return []string{"exchange", bootRegistries[0], "401", "AcrPull"}
		},
		Regain: func() { pullers.add(NodeIdentity.ClientID) },
	}, nil
}

// whose is the client id of whom a registry's token belongs to.
func (f *Fake) whose(image, username, password string) (string, error) {
	host, repository, _ := strings.Cut(image, "/")
	repository, _, _ = strings.Cut(repository, "@")
	repository, _, _ = strings.Cut(repository, ":")
	if err := f.Pull(strings.TrimSuffix(strings.ToLower(host), ":443"), username, password, repository); err != nil {
		return "", err
	}
	credential, ok := f.Credential(password)
	if !ok {
		return username, nil // with a password of the registry's own
	}
	return credential.Principal.ClientID, nil
}

// clientIDOf is the client id of a service account's application.
func clientIDOf(account oidc.ServiceAccount) string {
	sum := sha256.Sum256([]byte(account.Subject()))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// pullers are who may pull from the registries of a booted node.
type pullers struct {
	fake *Fake

	mu        sync.Mutex
	clientIDs []string
}

func (p *pullers) add(clientID string) {
	p.change(func(ids []string) []string {
		if slices.Contains(ids, clientID) {
			return ids
		}
		return append(ids, clientID)
	})
}

func (p *pullers) remove(clientID string) {
	p.change(func(ids []string) []string {
		return slices.DeleteFunc(ids, func(id string) bool { return id == clientID })
	})
}

func (p *pullers) change(change func([]string) []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clientIDs = change(p.clientIDs)
	var roles []Role
	for _, id := range p.clientIDs {
		roles = append(roles, Role{Name: AcrPull, Principal: Principal{HomeTenant, id}})
	}
	for _, host := range bootRegistries {
		p.fake.AddRegistry(Registry{Hosts: []string{host}, Roles: roles})
	}
}
