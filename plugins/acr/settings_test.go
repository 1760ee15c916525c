package acr

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/plugin"
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

func tryLoad(env []string, args ...string) (*plugin.Cloud, error) {
	c, _, err := Plugin().Load(args, plugintest.Getenv(env...))
	return c, err
}

func load(t testing.TB, env []string, args ...string) *plugin.Cloud {
	t.Helper()
	c, err := tryLoad(env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func compiled(c *plugin.Cloud) *provider { return c.Provider.(*provider) }

// described is where the token of an identity is from, in a line.
func described(t testing.TB, n nodeIdentity) string {
	t.Helper()
	source, err := n.source(&provider{audience: defaultAudience}, loginServer{cloud: n.cloud.name})
	if err != nil {
		return err.Error()
	}
	return source.String()
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
		"nothing said":              {nil, imds(machine)},
		"by client id":              {[]string{"--client-id=" + client}, imds("managed identity " + client)},
		"by object id":              {[]string{"--object-id=" + client}, imds("managed identity of object id " + client)},
		"by resource id":            {[]string{"--resource-id=/subscriptions/s/resourceGroups/g(1)/providers/p/i"}, imds("managed identity /subscriptions/s/resourceGroups/g(1)/providers/p/i")},
		"at Arc":                    {[]string{"--credential=azure-arc", "--client-id=" + client}, atArc("managed identity " + client)},
		"a secret":                  {secret, entra("login.microsoftonline.com", app(client, tenant, "with the secret in /s"))},
		"in another cloud":          {append([]string{"--cloud=AzureChinaCloud"}, secret...), entra("login.chinacloudapi.cn", app(client, tenant, "with the secret in /s"))},
		"at another authority":      {append([]string{"--authority=https://Login.test/"}, secret...), entra("login.test", app(client, tenant, "with the secret in /s"))},
		"a certificate":             {[]string{"--credential=client-certificate", "--client-id=" + client, "--client-certificate-file=/c", "--tenant-id=contoso.test"}, entra(login, app(client, "contoso.test", "with the certificate in /c"))},
		"a token":                   {[]string{"--credential=workload-identity", "--client-id=" + client, "--federated-token-file=/t", "--tenant-id=" + tenant}, entra(login, app(client, tenant, "with the token in /t"))},
		"a managed identity":        {[]string{"--credential=federated-managed-identity", "--client-id=" + client, "--managed-identity-client-id=" + client2, "--tenant-id=" + tenant}, entra(login, app(client, tenant, "by managed identity "+client2))},
		"azure.json":                {[]string{azure}, entra("login.microsoftonline.us", app(client2, tenant2, "with the secret in "+azure))},
		"azure.json by flag":        {[]string{"--azure-config", azure}, entra("login.microsoftonline.us", app(client2, tenant2, "with the secret in "+azure))},
		"a flag besides azure.json": {[]string{azure, "--client-id=" + client}, imds("managed identity " + client)},
		"a kind besides azure.json": {[]string{azure, "--credential=managed-identity"}, imds(machine)},
		// Where it is, is no part of who it is.
		"its cloud and tenant besides a flag": {[]string{azure, "--credential=client-secret", "--client-id=" + client, "--client-secret-file=/s"}, entra("login.microsoftonline.us", app(client, tenant2, "with the secret in /s"))},
		"its cloud besides azure.json":        {[]string{azure, "--cloud=azureusgovernment"}, entra("login.microsoftonline.us", app(client2, tenant2, "with the secret in "+azure))},
		"an authority besides azure.json":     {[]string{azure, "--authority=https://login.test"}, entra("login.test", app(client2, tenant2, "with the secret in "+azure))},
		"another cloud and a flag":            {[]string{azure, "--cloud=AzureChinaCloud", "--credential=client-secret", "--client-id=" + client, "--client-secret-file=/s"}, entra("login.chinacloudapi.cn", app(client, tenant2, "with the secret in /s"))},
		"Arc and the identity of azure.json":  {[]string{assigned, "--credential=azure-arc"}, atArc("managed identity " + client2)},
		"Arc and what azure.json says wrong":  {[]string{broken, "--credential=azure-arc"}, "userAssignedIdentityID in " + broken + `: not an id such as 00000000-0000-0000-0000-000000000000: "me"`},
		"Arc and another identity":            {[]string{assigned, "--credential=azure-arc", "--object-id=" + client}, atArc("managed identity of object id " + client)},
		"Arc and an application":              {[]string{azure, "--credential=azure-arc"}, atArc(machine)},
		"a tenant besides azure.json":         {[]string{azure, "--tenant-id=" + tenant}, entra("login.microsoftonline.us", app(client2, tenant, "with the secret in "+azure))},
	} {
		t.Run(name, func(t *testing.T) {
			if got := described(t, compiled(load(t, nil, tc.args...)).node); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// The kubelet's environment is a plugin's too: what SDKs read there is not meant
// for it.
func TestTheEnvironmentNamesNoIdentity(t *testing.T) {
	c := load(t, []string{"AZURE_CLIENT_ID=" + client, "AZURE_TENANT_ID=" + tenant, "AZURE_CLIENT_SECRET=x", "AZURE_FEDERATED_TOKEN_FILE=/x", "AZURE_AUTHORITY_HOST=https://evil.test", "IDENTITY_ENDPOINT=http://evil.test", "IDENTITY_HEADER=x", "AZURE_ENVIRONMENT_FILEPATH=/absent"})
	if got := described(t, compiled(c).node); got != imds(machine) || compiled(c).node.TenantID != "" {
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
		`credential: none of managed-identity, `:                                                                                                   {"--credential=password"},
		"clientID: missing, and credential client-secret needs it":                                                                                 {"--credential=client-secret", "--client-secret-file=/s", "--tenant-id=" + tenant},
		"clientSecretFile: missing, and credential client-secret needs it":                                                                         {"--credential=client-secret", "--client-id=" + client, "--tenant-id=" + tenant},
		"tenantID: missing, and credential client-secret needs it":                                                                                 app[:3],
		"clientSecretFile: not used with credential managed-identity":                                                                              {"--client-secret-file=/s"},
		"managedIdentityClientID: missing":                                                                                                         {"--credential=federated-managed-identity", "--client-id=" + client, "--tenant-id=" + tenant},
		"clientID: of clientID, objectID and resourceID at most one":                                                                               {"--client-id=" + client, "--object-id=" + client},
		`clientID: not an id such as 00000000-0000-0000-0000-000000000000: "me"`:                                                                   {"--client-id=me"},
		`resourceID: not a resource id, which begins with /subscriptions/: "/evil"`:                                                                {"--resource-id=/evil"},
		`clientSecretFile: not an absolute path: "s"`:                                                                                              {"--credential=client-secret", "--client-id=" + client, "--client-secret-file=s", "--tenant-id=" + tenant},
		`tenantID: neither the id of a tenant nor a domain: "common"`:                                                                              {"--tenant-id=common"},
		`tenantID: neither the id of a tenant nor a domain: "a/b.c"`:                                                                               {"--tenant-id=a/b.c"},
		`cloud: none of AzurePublicCloud, AzureUSGovernmentCloud, AzureChinaCloud, USNat, USSec, Bleu, Delos, AzureStackCloud: "AzureGermanCloud"`: {"--cloud=AzureGermanCloud"},
		"cloud: AzureStackCloud needs a file that AZURE_ENVIRONMENT_FILEPATH":                                                                      {"--cloud=AzureStackCloud"},
		`authority: not an https URL of a host alone: "http://login.test"`:                                                                         {"--authority=http://login.test"},
		`authority: not an https URL of a host alone: "https://a@login.test"`:                                                                      {"--authority=https://a@login.test"},
		`authority: not an https URL of a host alone: "https://login.test/adfs"`:                                                                   {"--authority=https://login.test/adfs"},
		"audience: empty": {"--audience="},
		"registrySuffixes[0]: azurecr.io belongs to cloud AzurePublicCloud":                          {"--cloud=AzureStackCloud", "--registry-suffix=azurecr.io"},
		"registrySuffixes[0]: x.azurecr.us belongs to cloud AzureUSGovernme":                         {"--cloud=AzureStackCloud", "--registry-suffix=.x.azurecr.us"},
		`scope: neither registry nor repository: "image"`:                                            {"--scope=image"},
		`registrySuffixes[0]: a whole top-level domain: "com"`:                                       {"--registry-suffix=com"},
		"registrySuffixes[0]: azurecr.cn belongs to cloud AzureChinaCloud":                           {"--registry-suffix=azurecr.cn"},
		`registryMirrors["a.test"]: the mirror "evil.com": not a login server`:                       {"-r", "a.test:evil.com"},
		`registryMirrors["b.test"]: the mirror "a.azurecr.io/A": not the path of a repository: "A"`:  {"--config=" + write(t, "config.yaml", head+"registryMirrors: {b.test: a.azurecr.io/A}")},
		`registryMirrors["c.test"]: the login of l.azurecr.io in registries is for that host alone`:  append(registries("l.azurecr.io: {login: {username: u, passwordFile: /p}}"), "-r", "c.test:l.azurecr.io"),
		`cloud: "AzureChinaCloud" is given, and azureConfig ` + azure + ` is of "AzureUSGovernment"`: {azure, "--cloud=AzureChinaCloud"},
		`cloud: "azurecloud" is given, and azureConfig ` + azure + ` is of "AzureUSGovernment"`:      {azure, "--cloud=azurecloud", "--credential=azure-arc"},
		`registryMirrors["a.test"]: an alias too`:                                                    {"-r", "a.test:a.azurecr.io", "--alias=a.test=a.azurecr.io"},
		"more than one argument":                                                           {"/a", "/b"},
		"azure.json is named twice":                                                        {"--azure-config=/a", "/b"},
		`azureConfig: not an absolute path: "azure.json"`:                                  {"azure.json"},
		"azureConfig /absent/azure.json: no such file":                                     {"/absent/azure.json"},
		"ibSNIName: missing":                                                               {"--ib-apiserver-ip=10.0.0.1"},
		`ibAPIServerIP: neither an address nor a name: ""`:                                 ib[:1],
		`ibSNIName: not the name of a server, without a scheme: "https://x"`:               {"--ib-sni-name=https://x", "--ib-apiserver-ip=10.0.0.1"},
		`ibAPIServerIP: neither an address nor a name: "10.0.0.1:443"`:                     {"--ib-sni-name=x", "--ib-apiserver-ip=10.0.0.1:443"},
		`ibDefaultClientID: not an id such as 00000000-0000-0000-0000-000000000000: "x"`:   append([]string{"--ib-default-client-id=x"}, ib...),
		`ibDefaultTenantID: neither the id of a tenant nor a domain: "x"`:                  append([]string{"--ib-default-tenant-id=x"}, ib...),
		`ibCAFile: not an absolute path: "ca.crt"`:                                         append([]string{"--ib-ca-file=ca.crt"}, ib...),
		`registries["evil.com"]: not a login server`:                                       registries("evil.com: {credential: managed-identity}"),
		`registries["A.azurecr.io"]: no identity: want credential, login, or the tenantID`: registries("A.azurecr.io: {cloud: AzurePublicCloud}"),
		`registries["a.azurecr.io:443"]: there twice`:                                      registries("a.azurecr.io: {credential: managed-identity}\n  a.azurecr.io:443: {credential: azure-arc}"),
		`registries["b.azurecr.io"].login: an identity too`:                                registries("b.azurecr.io: {clientID: x, login: {username: u, passwordFile: /p}}"),
		`registries["c.azurecr.io"].login.username: empty`:                                 registries("c.azurecr.io: {login: {passwordFile: /p}}"),
		`registries["d.azurecr.io"].login.passwordFile: not an absolute path: ""`:          registries("d.azurecr.io: {login: {username: u}}"),
		`registries["e.azurecr.io"].cloud: not a known cloud: "Mars"`:                      registries("e.azurecr.io: {clientID: " + client + ", cloud: Mars}"),
		`registries["f.azurecr.cn"].cloud: the login server is of AzureChinaCloud`:         registries("f.azurecr.cn: {clientID: " + client + "}"),
		`registries["g.azurecr.cn"].credential: a managed identity is of the node's cloud, AzurePublicCloud, and its tokens do not go to AzureChinaCloud`: registries("g.azurecr.cn: {clientID: " + client + ", cloud: AzureChinaCloud}"),
		`registries["h.azurecr.cn"].tenantID: missing`:         append(registries("h.azurecr.cn: {credential: client-secret, clientID: "+client+", clientSecretFile: /s, cloud: AzureChinaCloud}"), "--tenant-id="+tenant),
		`registries["i.azurecr.io"].tenantID: missing`:         registries("i.azurecr.io: {credential: client-secret, clientID: " + client + ", clientSecretFile: /s}"),
		`unknown field "registries.j.azurecr.io.clientSecret"`: registries("j.azurecr.io: {clientSecret: hunter2}"),
	} {
		if _, err := tryLoad(nil, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}

func TestAnonymous(t *testing.T) {
	args := []string{"-r", "mcr.microsoft.com:a.azurecr.io", "--alias=vanity.test=a.azurecr.io"}
	for host, want := range map[string]string{
		"a.azurecr.io":            "*.azurecr.io",
		"A.AzureCR.io:443":        "*.AzureCR.io:443",
		"a.eastus.geo.azurecr.io": "*.eastus.geo.azurecr.io",
		// There is nothing like these.
		"mcr.microsoft.com": "", "vanity.test": "",
	} {
		if got, err := ask(t, load(t, nil, append(args, "--anonymous-fallback")...), host+"/app", nil, nil); got.Anonymous != want || got.Source == nil {
			t.Errorf("%s: got %+v, %v", host, got, err)
		}
		if got, _ := ask(t, load(t, nil, args...), host+"/app", nil, nil); got.Anonymous != "" {
			t.Errorf("%s: got %q unasked", host, got.Anonymous)
		}
	}
}

func TestPerImage(t *testing.T) {
	for want, args := range map[bool][]string{false: nil, true: {"--scope=repository"}} {
		if got, err := ask(t, load(t, nil, args...), "a.azurecr.io/app", nil, nil); err != nil || got.PerImage != want {
			t.Errorf("got %+v, %v; only a password for a repository is the image's own", got, err)
		}
	}
}

// What the vendor's plugin is started with by AKS.
func TestTheVendorsCommandLine(t *testing.T) {
	azure := write(t, "azure.json", `{"cloud":"AzurePublicCloud","tenantId":"`+tenant+`","useManagedIdentityExtension":true,"userAssignedIdentityID":"`+client+`","aadClientId":"msi","aadClientSecret":"msi"}`)
	p := compiled(load(t, nil, azure, "--registry-mirror=mcr.microsoft.com:a.azurecr.io", "--ib-sni-name=x.ests.aks", "--ib-apiserver-ip=cluster.hcp.test",
		"--ib-default-client-id="+client2, "--ib-default-tenant-id="+tenant2, "--v=2", "--logtostderr=true"))
	want := bindings{server: "x.ests.aks", address: "cluster.hcp.test:443", caFile: clusterAuthority(), client: client2, tenant: tenant2}
	if p.bindings == nil || *p.bindings != want || len(p.mirrors) != 1 || p.node.TenantID != tenant || described(t, p.node) != imds("managed identity "+client) {
		t.Errorf("got %+v", p)
	}
}

// The server is connected to at the address and nowhere else.
func TestTheAddressOfIdentityBindings(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.4": "10.0.0.4:443", "cluster.hcp.test": "cluster.hcp.test:443", "fd00::4": "[fd00::4]:443", "[fd00::4]": "[fd00::4]:443",
		"10.0.0.4:443": "", "[fd00::4]:443": "", "https://10.0.0.4": "", "": "", "a b": "",
	} {
		if got, err := parseServer(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}
