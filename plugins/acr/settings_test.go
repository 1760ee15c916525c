package acr

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
)

const (
	head    = "apiVersion: regcred/v1\nkind: ACRCredentialProviderConfig\n"
	client  = "11111111-2222-3333-4444-555555555555"
	client2 = "11111111-2222-3333-4444-666666666666"
	tenant  = "77777777-8888-9999-aaaa-bbbbbbbbbbbb"
	tenant2 = "77777777-8888-9999-aaaa-cccccccccccc"
)

// write writes a file that is trusted.
func write(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func tryLoad(env []string, args ...string) (*Settings, error) {
	s, _, err := Plugin().Load(args, plugintest.Getenv(env...))
	if err != nil {
		return nil, err
	}
	return s.(*Settings), nil
}

func load(t testing.TB, env []string, args ...string) *Settings {
	t.Helper()
	s, err := tryLoad(env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// described is who a holder is, in a line.
func described(t testing.TB, h holder) string {
	t.Helper()
	source, err := h.source(place{audience: "A"})
	if err != nil {
		return err.Error()
	}
	return describe(source)
}

func TestTheNodesIdentity(t *testing.T) {
	secret := []string{"--credential=client-secret", "--client-id=" + client, "--client-secret-file=/s", "--tenant-id=" + tenant}
	azure := write(t, "azure.json", `{"cloud":"AzureUSGovernmentCloud","tenantId":"`+tenant2+`","aadClientId":"`+client2+`","aadClientSecret":"hunter2"}`)
	assigned := write(t, "azure.json", `{"cloud":"AzurePublicCloud","useManagedIdentityExtension":true,"userAssignedIdentityID":"`+client2+`"}`)
	broken := write(t, "azure.json", `{"useManagedIdentityExtension":true,"userAssignedIdentityID":"me"}`)
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"nothing said":              {nil, "imds  "},
		"by client id":              {[]string{"--client-id=" + client}, "imds client_id " + client},
		"by object id":              {[]string{"--object-id=" + client}, "imds object_id " + client},
		"by resource id":            {[]string{"--resource-id=/subscriptions/s/resourceGroups/g(1)/providers/p/i"}, "imds msi_res_id /subscriptions/s/resourceGroups/g(1)/providers/p/i"},
		"at Arc":                    {[]string{"--credential=azure-arc", "--client-id=" + client}, "arc client_id " + client},
		"a secret":                  {secret, client + " of " + tenant + " at login.microsoftonline.com: client-secret /s"},
		"in another cloud":          {append([]string{"--cloud=AzureChinaCloud"}, secret...), client + " of " + tenant + " at login.chinacloudapi.cn: client-secret /s"},
		"at another authority":      {append([]string{"--authority=https://Login.test/"}, secret...), client + " of " + tenant + " at login.test: client-secret /s"},
		"a certificate":             {[]string{"--credential=client-certificate", "--client-id=" + client, "--client-certificate-file=/c", "--tenant-id=contoso.test"}, client + " of contoso.test at login.microsoftonline.com: client-certificate /c"},
		"a token":                   {[]string{"--credential=workload-identity", "--client-id=" + client, "--federated-token-file=/t", "--tenant-id=" + tenant}, client + " of " + tenant + " at login.microsoftonline.com: workload-identity /t"},
		"a managed identity":        {[]string{"--credential=federated-managed-identity", "--client-id=" + client, "--managed-identity-client-id=" + client2, "--tenant-id=" + tenant}, client + " of " + tenant + " at login.microsoftonline.com: federated-managed-identity imds client_id " + client2 + " api://AzureADTokenExchange"},
		"azure.json":                {[]string{azure}, client2 + " of " + tenant2 + " at login.microsoftonline.us: client-secret " + azure},
		"azure.json by flag":        {[]string{"--azure-config", azure}, client2 + " of " + tenant2 + " at login.microsoftonline.us: client-secret " + azure},
		"a flag besides azure.json": {[]string{azure, "--client-id=" + client}, "imds client_id " + client},
		"a kind besides azure.json": {[]string{azure, "--credential=managed-identity"}, "imds  "},
		// Where it is, is no part of who it is.
		"its cloud and tenant besides a flag": {[]string{azure, "--credential=client-secret", "--client-id=" + client, "--client-secret-file=/s"}, client + " of " + tenant2 + " at login.microsoftonline.us: client-secret /s"},
		"its cloud besides azure.json":        {[]string{azure, "--cloud=azureusgovernment"}, client2 + " of " + tenant2 + " at login.microsoftonline.us: client-secret " + azure},
		"an authority besides azure.json":     {[]string{azure, "--authority=https://login.test"}, client2 + " of " + tenant2 + " at login.test: client-secret " + azure},
		"another cloud and a flag":            {[]string{azure, "--cloud=AzureChinaCloud", "--credential=client-secret", "--client-id=" + client, "--client-secret-file=/s"}, client + " of " + tenant2 + " at login.chinacloudapi.cn: client-secret /s"},
		"Arc and the identity of azure.json":  {[]string{assigned, "--credential=azure-arc"}, "arc client_id " + client2},
		"Arc and what azure.json says wrong":  {[]string{broken, "--credential=azure-arc"}, broken + `: userAssignedIdentityID: "me" is not an id such as 00000000-0000-0000-0000-000000000000`},
		"Arc and another identity":            {[]string{assigned, "--credential=azure-arc", "--object-id=" + client}, "arc object_id " + client},
		"Arc and an application":              {[]string{azure, "--credential=azure-arc"}, "arc"},
		"a tenant besides azure.json":         {[]string{azure, "--tenant-id=" + tenant}, client2 + " of " + tenant + " at login.microsoftonline.us: client-secret " + azure},
	} {
		t.Run(name, func(t *testing.T) {
			if got := described(t, load(t, nil, tc.args...).node); strings.TrimSpace(got) != strings.TrimSpace(tc.want) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// The kubelet's environment is a plugin's too: what SDKs read there is not meant
// for it.
func TestTheEnvironmentNamesNoIdentity(t *testing.T) {
	s := load(t, []string{"AZURE_CLIENT_ID=" + client, "AZURE_TENANT_ID=" + tenant, "AZURE_CLIENT_SECRET=x", "AZURE_FEDERATED_TOKEN_FILE=/x", "AZURE_AUTHORITY_HOST=https://evil.test", "IDENTITY_ENDPOINT=http://evil.test", "IDENTITY_HEADER=x", "AZURE_ENVIRONMENT_FILEPATH=/absent"})
	if got := described(t, s.node); strings.TrimSpace(got) != "imds" || s.TenantID != "" {
		t.Errorf("got %s", got)
	}
}

func TestWrongSettings(t *testing.T) {
	registries := func(text string) []string {
		return []string{"--config=" + write(t, "config.yaml", head+"registries:\n  "+text+"\n")}
	}
	app := []string{"--credential=client-secret", "--client-id=" + client, "--client-secret-file=/s", "--tenant-id=" + tenant}
	azure := write(t, "azure.json", `{"cloud":"AzureUSGovernment","tenantId":"`+tenant+`","useManagedIdentityExtension":true}`)
	ib := []string{"--ib-sni-name=x.ests.aks", "--ib-apiserver-ip=10.0.0.1"}
	for want, args := range map[string][]string{
		`credential: "password" is none of`:                                                          {"--credential=password"},
		"clientID: is needed with credential client-secret":                                          {"--credential=client-secret", "--client-secret-file=/s", "--tenant-id=" + tenant},
		"clientSecretFile: is needed with credential client-secret":                                  {"--credential=client-secret", "--client-id=" + client, "--tenant-id=" + tenant},
		"tenantID: is needed with credential client-secret":                                          app[:3],
		"clientSecretFile: is not used with credential managed-identity":                             {"--client-secret-file=/s"},
		"managedIdentityClientID: is needed":                                                         {"--credential=federated-managed-identity", "--client-id=" + client, "--tenant-id=" + tenant},
		"clientID: of clientID, objectID and resourceID at most one":                                 {"--client-id=" + client, "--object-id=" + client},
		`clientID: "me" is not an id`:                                                                {"--client-id=me"},
		`resourceID: "/evil" does not begin with /subscriptions/`:                                    {"--resource-id=/evil"},
		`clientSecretFile: "s" is not an absolute path`:                                              {"--credential=client-secret", "--client-id=" + client, "--client-secret-file=s", "--tenant-id=" + tenant},
		`tenantID: "common" is neither`:                                                              {"--tenant-id=common"},
		`tenantID: "a/b.c" is neither`:                                                               {"--tenant-id=a/b.c"},
		`cloud: "AzureGermanCloud" is none of AzurePublicCloud, `:                                    {"--cloud=AzureGermanCloud"},
		"cloud: AzureStackCloud needs a file that AZURE_ENVIRONMENT_FILEPATH":                        {"--cloud=AzureStackCloud"},
		`authority: "http://login.test" is not an https URL`:                                         {"--authority=http://login.test"},
		`authority: "https://a@login.test" is not an https URL`:                                      {"--authority=https://a@login.test"},
		`authority: "https://login.test/adfs" is not an https URL of a host alone`:                   {"--authority=https://login.test/adfs"},
		"audience: \"\" is not an audience":                                                          {"--audience="},
		"registrySuffixes: azurecr.io is of cloud AzurePublicCloud":                                  {"--cloud=AzureStackCloud", "--registry-suffix=azurecr.io"},
		"registrySuffixes: x.azurecr.us is of cloud AzureUSGovernme":                                 {"--cloud=AzureStackCloud", "--registry-suffix=.x.azurecr.us"},
		`scope: "image" is neither registry nor repository`:                                          {"--scope=image"},
		`registrySuffixes: "com" is a whole top-level domain`:                                        {"--registry-suffix=com"},
		"registrySuffixes: azurecr.cn is of cloud AzureChinaCloud":                                   {"--registry-suffix=azurecr.cn"},
		`registryMirrors["a.test"]: the mirror "evil.com" is not a login server`:                     {"-r", "a.test:evil.com"},
		`registryMirrors["b.test"]: the mirror "a.azurecr.io/A" the path "A" is not of a repository`: {"--config=" + write(t, "config.yaml", head+"registryMirrors: {b.test: a.azurecr.io/A}")},
		`registryMirrors["c.test"]: the login of l.azurecr.io in registries is for that host alone`:  append(registries("l.azurecr.io: {login: {username: u, passwordFile: /p}}"), "-r", "c.test:l.azurecr.io"),
		`cloud: "AzureChinaCloud" is given, and azureConfig ` + azure + ` is of "AzureUSGovernment"`: {azure, "--cloud=AzureChinaCloud"},
		`cloud: "azurecloud" is given, and azureConfig ` + azure + ` is of "AzureUSGovernment"`:      {azure, "--cloud=azurecloud", "--credential=azure-arc"},
		`registryMirrors["a.test"]: has an alias too`:                                                {"-r", "a.test:a.azurecr.io", "--alias=a.test=a.azurecr.io"},
		"more than one argument":                                                                     {"/a", "/b"},
		"azure.json is named twice":                                                                  {"--azure-config=/a", "/b"},
		`azureConfig: "azure.json" is not an absolute path`:                                          {"azure.json"},
		"azureConfig /absent/azure.json: no such file":                                               {"/absent/azure.json"},
		"ibSNIName: is needed":                                                                       {"--ib-apiserver-ip=10.0.0.1"},
		`ibAPIServerIP: "" is neither`:                                                               ib[:1],
		`ibSNIName: "https://x" is not the name of a server`:                                         {"--ib-sni-name=https://x", "--ib-apiserver-ip=10.0.0.1"},
		`ibAPIServerIP: "10.0.0.1:443" is neither`:                                                   {"--ib-sni-name=x", "--ib-apiserver-ip=10.0.0.1:443"},
		`ibDefaultClientID: "x" is not an id`:                                                        append([]string{"--ib-default-client-id=x"}, ib...),
		`ibDefaultTenantID: "x" is neither`:                                                          append([]string{"--ib-default-tenant-id=x"}, ib...),
		`ibCAFile: "ca.crt" is not an absolute path`:                                                 append([]string{"--ib-ca-file=ca.crt"}, ib...),
		`registries["evil.com"]: is not a login server`:                                              registries("evil.com: {credential: managed-identity}"),
		`registries["A.azurecr.io"]: names no identity`:                                              registries("A.azurecr.io: {cloud: AzurePublicCloud}"),
		`registries["a.azurecr.io:443"]: is there twice`:                                             registries("a.azurecr.io: {credential: managed-identity}\n  a.azurecr.io:443: {credential: azure-arc}"),
		`registries["b.azurecr.io"]: login: there is an identity too`:                                registries("b.azurecr.io: {clientID: x, login: {username: u, passwordFile: /p}}"),
		`registries["c.azurecr.io"]: login.username: is empty`:                                       registries("c.azurecr.io: {login: {passwordFile: /p}}"),
		`registries["d.azurecr.io"]: login.passwordFile: "" is not an absolute path`:                 registries("d.azurecr.io: {login: {username: u}}"),
		`registries["e.azurecr.io"]: cloud: "Mars" is not a known cloud`:                             registries("e.azurecr.io: {clientID: " + client + ", cloud: Mars}"),
		`registries["f.azurecr.cn"]: cloud: the login server is of AzureChinaCloud`:                  registries("f.azurecr.cn: {clientID: " + client + "}"),
		`registries["g.azurecr.cn"]: credential: a managed identity is of the node's cloud, AzurePublicCloud, and its tokens do not go to AzureChinaCloud`: registries("g.azurecr.cn: {clientID: " + client + ", cloud: AzureChinaCloud}"),
		`registries["h.azurecr.cn"]: tenantID: is needed`:      append(registries("h.azurecr.cn: {credential: client-secret, clientID: "+client+", clientSecretFile: /s, cloud: AzureChinaCloud}"), "--tenant-id="+tenant),
		`registries["i.azurecr.io"]: tenantID: is needed`:      registries("i.azurecr.io: {credential: client-secret, clientID: " + client + ", clientSecretFile: /s}"),
		`unknown field "registries.j.azurecr.io.clientSecret"`: registries("j.azurecr.io: {clientSecret: hunter2}"),
	} {
		if _, err := tryLoad(nil, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}

func TestAnonymous(t *testing.T) {
	s := load(t, nil, "--anonymous-fallback", "-r", "mcr.microsoft.com:a.azurecr.io", "--alias=vanity.test=a.azurecr.io")
	for host, want := range map[string]string{
		"a.azurecr.io":            "*.azurecr.io",
		"A.AzureCR.io:443":        "*.AzureCR.io:443",
		"a.eastus.geo.azurecr.io": "*.eastus.geo.azurecr.io",
		// There is nothing like these.
		"mcr.microsoft.com": "", "vanity.test": "", "docker.io": "",
	} {
		if got := s.Anonymous(mustParse(t, host)); got != want {
			t.Errorf("%s: got %q", host, got)
		}
	}
	if got := load(t, nil).Anonymous(mustParse(t, "a.azurecr.io")); got != "" {
		t.Errorf("got %q unasked", got)
	}
}

func TestPerImage(t *testing.T) {
	if load(t, nil).PerImage() || !load(t, nil, "--scope=repository").PerImage() {
		t.Error("only a password for a repository is the image's own")
	}
}

// What the vendor's plugin is started with by AKS.
func TestTheVendorsCommandLine(t *testing.T) {
	azure := write(t, "azure.json", `{"cloud":"AzurePublicCloud","tenantId":"`+tenant+`","useManagedIdentityExtension":true,"userAssignedIdentityID":"`+client+`","aadClientId":"msi","aadClientSecret":"msi"}`)
	s := load(t, nil, azure, "--registry-mirror=mcr.microsoft.com:a.azurecr.io", "--ib-sni-name=x.ests.aks", "--ib-apiserver-ip=cluster.hcp.test",
		"--ib-default-client-id="+client2, "--ib-default-tenant-id="+tenant2, "--v=2", "--logtostderr=true")
	if !s.bound() || s.DefaultClientID != client2 || len(s.RegistryMirrors) != 1 || s.TenantID != tenant || described(t, s.node) != "imds client_id "+client {
		t.Errorf("got %+v", s)
	}
}
