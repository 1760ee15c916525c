package acr_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

func TestTheMachinesIdentity(t *testing.T) {
	t.Parallel()
	several := azure.InstanceSettings{System: &system, User: []azure.ManagedIdentity{pull, other}}
	for _, test := range []struct {
		name    string
		machine azure.InstanceSettings
		args    []string
		want    string
	}{
		{"the system's", azure.InstanceSettings{System: &system}, nil, system.ClientID},
		{"the only user-assigned", azure.InstanceSettings{User: []azure.ManagedIdentity{pull}}, nil, pull.ClientID},
		{"by client id", several, []string{"--client-id", pull.ClientID}, pull.ClientID},
		{"by a client id in capitals", several, []string{"--client-id", strings.ToUpper(pull.ClientID)}, pull.ClientID},
		{"by object id", several, []string{"--credential=managed-identity", "--object-id", pull.ObjectID}, pull.ClientID},
		{"by resource id", several, []string{"--resource-id", pull.ResourceID}, pull.ClientID},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.serve(registry, system.ClientID, pull.ClientID)
			n.assign(test.machine)
			n.ask(question{Image: image, Args: test.args}).wantCredential(registry, test.want)
			n.WantCalls(askNode)
		})
	}
}

// Documented are texts; some agents answer numbers.
func TestNumbersAreReadEitherWay(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.azure.Configure(func(s *azure.Settings) { s.IMDS.Numbers = true })
	n.ask(question{Image: image}).wantCredential(registry, system.ClientID)
}

func TestTheTenantIsTold(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.ask(question{Image: image, Args: []string{"--tenant-id", tenant}}).wantCredential(registry, system.ClientID)
	if asked := cloudtest.Summaries(n.Cloud, "acr", ""); len(asked) != 1 || !strings.Contains(asked[0], `tenant "`+tenant+`"`) {
		t.Errorf("the registry was asked %q", asked)
	}
	n.ask(question{Image: image, Args: []string{"--tenant-id", abroad}}).WantFailure(1, registry, "401", abroad)
}

func bootArc(t *testing.T) *node {
	t.Helper()
	n := bootOutside(t)
	if err := n.azure.PlaceArc(n.Cloud); err != nil {
		t.Fatal(err)
	}
	n.azure.Configure(func(s *azure.Settings) {
		s.Arc.InstanceSettings = azure.InstanceSettings{System: &system, User: []azure.ManagedIdentity{pull, other}}
	})
	n.serve(registry, system.ClientID, pull.ClientID)
	return n
}

func TestAMachineOfAzureArc(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"the system's":   {nil, system.ClientID},
		"by client id":   {[]string{"--client-id", pull.ClientID}, pull.ClientID},
		"by object id":   {[]string{"--object-id", pull.ObjectID}, pull.ClientID},
		"by resource id": {[]string{"--resource-id", pull.ResourceID}, pull.ClientID},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootArc(t)
			q := question{Image: image, Args: append([]string{"--credential=azure-arc"}, test.args...)}
			for range 2 {
				n.ask(q).wantCredential(registry, test.want)
			}
			n.WantCalls(askArc, askExchange)
		})
	}
}

// An agent that knows no user-assigned identities answers the system's and does
// not say so: that is another identity than was meant.
func TestAnOldAgentOfAzureArcIsNotBelieved(t *testing.T) {
	t.Parallel()
	n := bootArc(t)
	n.azure.Configure(func(s *azure.Settings) { s.Arc.OldAgent = true })
	n.ask(question{Image: image, Args: []string{"--credential=azure-arc", "--client-id", pull.ClientID}}).
		WantFailure(1, "127.0.0.1:40342", pull.ClientID)
	n.WantCalls(askArc)
	n.ask(question{Image: image, Args: []string{"--credential=azure-arc"}}).wantCredential(registry, system.ClientID)
}

// Whoever listens in the agent's place must not have any file read to it.
func TestOnlyAKeyOfTheAgentIsRead(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	for name, change := range map[string]func(*azure.ArcSettings){
		"in another directory": func(s *azure.ArcSettings) { s.Directory = elsewhere },
		"in a directory below": func(s *azure.ArcSettings) { s.Directory = filepath.Join(azure.ArcDirectory, "below") },
		"not named like a key": func(s *azure.ArcSettings) { s.Extension = ".txt" },
		"too large":            func(s *azure.ArcSettings) { s.KeySize = 4097 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootArc(t)
			t.Cleanup(func() { os.RemoveAll(azure.ArcDirectory) })
			n.azure.Configure(func(s *azure.Settings) { change(&s.Arc) })
			n.ask(question{Image: image, Args: []string{"--credential=azure-arc"}}).WantFailure(1, "127.0.0.1:40342", ".key")
			n.WantCalls(askArc[:1])
		})
	}
}

func TestAMachineWithoutTheAgentIsToldSo(t *testing.T) {
	t.Parallel()
	n := bootOutside(t)
	a := n.ask(question{Image: image, Args: []string{"--credential=azure-arc"}})
	a.WantFailure(1, "127.0.0.1:40342", "connection refused")
	a.WantWithin(cloudtest.Soon)
}

// appArgs are the arguments of a node that is the app by some proof.
func appArgs(kind string, more ...string) []string {
	return append([]string{"--credential", kind, "--tenant-id", tenant, "--client-id", appID}, more...)
}

func TestAnApp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args func(n *node) []string
		asks []calls
	}{
		{"by its secret", func(n *node) []string { return n.asApp() }, []calls{askEntra, askExchange}},
		{"by its certificate", func(n *node) []string {
			return appArgs("client-certificate", "--client-certificate-file", n.certificateFile())
		}, []calls{askEntra, askExchange}},
		{"by its certificate as PFX", func(n *node) []string {
			pfx, password := n.pfxFile()
			return appArgs("client-certificate", "--client-certificate-file", pfx, "--client-certificate-password-file", password)
		}, []calls{askEntra, askExchange}},
		{"by a Kubernetes token", func(n *node) []string {
			n.trust(appID, shop)
			return appArgs("workload-identity", "--federated-token-file", n.file(n.pod(shop, podAudience, time.Hour).token))
		}, []calls{askEntra, askExchange}},
		{"by a managed identity", func(n *node) []string {
			n.trustIdentity()
			return appArgs("federated-managed-identity", "--managed-identity-client-id", pull.ClientID)
		}, []calls{askIMDS, askEntra, askExchange}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.assign(azure.InstanceSettings{System: &system, User: []azure.ManagedIdentity{pull}})
			n.serve(registry, appID)
			n.azure.AddApp(azure.App{ClientID: appID})
			q := question{Image: image, Args: test.args(n)}
			for range 2 {
				n.ask(q).wantCredential(registry, appID)
			}
			n.WantCalls(test.asks...)
		})
	}
}

// certificateFile makes a certificate of the app and the file that holds it with
// its key.
func (n *node) certificateFile() string {
	n.T.Helper()
	content, err := n.certificate().PEM()
	if err != nil {
		n.T.Fatal(err)
	}
	return n.file(string(content))
}

// pfxFile is certificateFile with a password, as Windows and Key Vault export it.
func (n *node) pfxFile() (pfx, password string) {
	n.T.Helper()
	certificate := n.certificate()
	content, err := pkcs12.Modern.Encode(certificate.Key, certificate.Leaf, nil, "pfx password")
	if err != nil {
		n.T.Fatal(err)
	}
	return n.file(string(content)), n.file("pfx password\n")
}

func (n *node) certificate() azure.Certificate {
	n.T.Helper()
	certificate, err := n.azure.AddCertificate(appID)
	if err != nil {
		n.T.Fatal(err)
	}
	return certificate
}

// trustIdentity makes an app that the user-assigned identity is, in two tenants.
func (n *node) trustIdentity() {
	n.azure.AddApp(azure.App{ClientID: appID, Tenants: []string{tenant, abroad}, Federated: []azure.FederatedCredential{
		{Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0", Subject: pull.ObjectID, Audience: podAudience},
	}})
}

// Without a secret anywhere: the machine's identity vouches for an app that is
// known in the other organisation.
func TestAManagedIdentityPullsFromAnotherTenant(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.assign(azure.InstanceSettings{User: []azure.ManagedIdentity{pull}})
	n.trustIdentity()
	n.serveRegistry(azure.Registry{Hosts: []string{registry}, Tenant: abroad, Roles: pullers(abroad, appID)})
	for _, name := range []string{abroad, "fabrikam.onmicrosoft.com"} {
		q := question{Image: image, Args: []string{"--cache-dir=", "--credential=federated-managed-identity", "--tenant-id", name, "--client-id", appID, "--managed-identity-client-id", pull.ClientID}}
		n.ask(q).wantCredentialOf(registry, azure.Principal{Tenant: abroad, ClientID: appID})
		n.WantCalls(askIMDS, askEntra, askExchange)
	}
}

// The token in the file is replaced while the node runs.
func TestAFederatedTokenIsReadAtEachFetch(t *testing.T) {
	t.Parallel()
	n := bootOutside(t)
	n.serve(registry, appID)
	n.trust(appID, shop)
	path := cloudtest.File(t, n.pod(shop, podAudience, -time.Minute).token)
	q := question{Image: image, Args: append(appArgs("workload-identity", "--federated-token-file", path), "--cache-dir=")}
	n.ask(q).WantFailure(1, "AADSTS700024", path)
	if err := os.WriteFile(path, []byte(n.pod(shop, podAudience, time.Hour).token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.ask(q).wantCredential(registry, appID)
}

func TestAnIdentityThatIsNotWholeIsAMistakeOfTheOperators(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	secret := cloudtest.File(t, "secret")
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"--credential=msi"}, "credential"},
		{[]string{"--client-id", pull.ClientID, "--object-id", pull.ObjectID}, "clientID"},
		{[]string{"--client-id", "pull"}, "clientID"},
		{[]string{"--resource-id", "/resourceGroups/pull"}, "resourceID"},
		{[]string{"--tenant-id", "common"}, "tenantID"},
		{[]string{"--tenant-id", "a/b.c"}, "tenantID"},
		{[]string{"--credential=client-secret", "--tenant-id", tenant, "--client-id", appID}, "clientSecretFile"},
		{[]string{"--credential=client-secret", "--client-id", appID, "--client-secret-file", secret}, "tenantID"},
		{[]string{"--client-secret-file", secret}, "clientSecretFile"},
		{appArgs("client-secret", "--client-secret-file", "secret"), "clientSecretFile"},
		{appArgs("workload-identity"), "federatedTokenFile"},
		{appArgs("federated-managed-identity"), "managedIdentityClientID"},
		{[]string{"--cloud=Azure"}, "cloud"},
		{[]string{"--scope=image"}, "scope"},
		{[]string{"--audience="}, "audience"},
		{[]string{"--registry-suffix=io"}, "registrySuffixes"},
		{[]string{"--registry-suffix=azurecr.cn"}, "registrySuffixes"},
		{[]string{"--ib-apiserver-ip=192.0.2.1"}, "ibSNIName"},
		{[]string{"--ib-sni-name=a.example"}, "ibAPIServerIP"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			n := n.in(t)
			n.ask(question{Image: image, Args: test.args}).WantFailure(2, test.says)
			n.WantCalls()
		})
	}
}

// The kubelet's own environment leaks into its plugins. Half an identity from
// there would be worse than none.
func TestVariablesOfOtherProgramsAreNotRead(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	q := question{Image: image, Env: []string{
		"AZURE_CLIENT_ID=" + appID, "AZURE_TENANT_ID=" + abroad, "AZURE_CLIENT_SECRET=secret", "AZURE_FEDERATED_TOKEN_FILE=/etc/hostname",
		"AZURE_AUTHORITY_HOST=https://evil.example/", "IDENTITY_ENDPOINT=http://192.0.2.66/", "IMDS_ENDPOINT=http://192.0.2.66/", "IDENTITY_HEADER=x",
		"MSI_ENDPOINT=http://192.0.2.66/", "AZURE_POD_IDENTITY_AUTHORITY_HOST=http://192.0.2.66/", "AZURE_ENVIRONMENT_FILEPATH=/etc/hostname",
	}}
	n.ask(q).wantCredential(registry, system.ClientID)
	n.WantCalls(askNode)
}
