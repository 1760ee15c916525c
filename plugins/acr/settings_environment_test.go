package acr

import (
	"cmp"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/serviceaccount"
)

func TestEnvironmentFile(t *testing.T) {
	const text = `{"name":"AzureStackCloud","activeDirectoryEndpoint":"https://Login.my.cloud/","containerRegistryDNSSuffix":"azurecr.my.cloud",
		"resourceManagerEndpoint":"https://management.my.cloud/","tokenAudience":"https://management.my.cloud/"}`
	for name, text := range map[string]string{"plain": text, "with a mark": "\xef\xbb\xbf" + text, "with a dot": strings.Replace(text, "azurecr.my", ".AzureCR.my", 1), "in capitals": strings.Replace(text, "activeDirectoryEndpoint", "ACTIVEDIRECTORYENDPOINT", 1)} {
		if got, err := parseEnvironment([]byte(text)); err != nil || got.name != stackCloud || got.authority != "login.my.cloud" || got.registries != "azurecr.my.cloud" {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	// Microsoft's own tools write N/A for what a cloud has not.
	if got, err := parseEnvironment([]byte(`{"activeDirectoryEndpoint":"https://login.my.cloud","containerRegistryDNSSuffix":"N/A"}`)); err != nil || got.registries != "" || got.authority != "login.my.cloud" {
		t.Errorf("without registries: got %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"{":                                      "not the JSON of an environment",
		`{"containerRegistryDNSSuffix":[5]}`:     "not the JSON of an environment",
		`{"containerRegistryDNSSuffix":"*"}`:     "containerRegistryDNSSuffix: ",
		`{"containerRegistryDNSSuffix":"cloud"}`: "containerRegistryDNSSuffix: ",
		`{"activeDirectoryEndpoint":"http://login.my.cloud/"}`:      "activeDirectoryEndpoint: ",
		`{"activeDirectoryEndpoint":"https://adfs.my.cloud/adfs"}`:  "activeDirectoryEndpoint: ",
		`{"activeDirectoryEndpoint":"https://login.my.cloud/?a=b"}`: "activeDirectoryEndpoint: ",
		`{"activeDirectoryEndpoint":"https://"}`:                    "activeDirectoryEndpoint: ",
	} {
		if got, err := parseEnvironment([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}

func TestAzureStack(t *testing.T) {
	file := write(t, "env.json", `{"activeDirectoryEndpoint":"https://login.my.cloud/","containerRegistryDNSSuffix":"azurecr.my.cloud"}`)
	secret := []string{"--credential=client-secret", "--client-id=" + client, "--client-secret-file=/s", "--tenant-id=" + tenant}
	c := load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=" + file}, append(secret, "--cloud=azurestackcloud")...)
	source, err := ask(t, c, "a.azurecr.my.cloud/app", nil, nil)
	if want := exchanged("a.azurecr.my.cloud", tenant, entra("login.my.cloud", app(client, tenant, "with the secret in /s"))); err != nil || describe(source) != want {
		t.Errorf("got %v, %v", describe(source), err)
	}
	if _, err := ask(t, c, "a.azurecr.io/app", nil, nil); err == nil || !strings.Contains(err.Error(), "of cloud AzurePublicCloud, while the identity is of AzureStackCloud") {
		t.Errorf("a public registry: %v", err)
	}
	// Other clouds have no file.
	if c := load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=/absent"}, "--cloud=AzureCloud"); compiled(c).node.cloud.name != publicCloud {
		t.Errorf("got %+v", compiled(c).node.cloud)
	}
	// Without a file, flags say where everything is.
	c = load(t, nil, append(secret, "--cloud=AzureStackCloud", "--registry-suffix=azurecr.my.cloud")...)
	if _, err := ask(t, c, "a.azurecr.my.cloud/app", nil, nil); err == nil || !strings.Contains(err.Error(), "set --authority") {
		t.Errorf("without an authority: %v", err)
	}
	if _, err := tryLoad([]string{"AZURE_ENVIRONMENT_FILEPATH=/absent"}, "--cloud=AzureStackCloud"); err == nil || !strings.Contains(err.Error(), "AZURE_ENVIRONMENT_FILEPATH /absent: no such file") {
		t.Errorf("without the file: %v", err)
	}
	// One without registries of its own is one still.
	file = write(t, "env.json", `{"activeDirectoryEndpoint":"https://login.my.cloud/"}`)
	c = load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=" + file}, "--cloud=AzureStackCloud")
	if source, err := ask(t, c, "a.azurecr.my.cloud/app", nil, nil); err != nil || source.Source != nil {
		t.Errorf("without login servers: got %v, %v", source, err)
	}
	// If its Entra is that of a known cloud, so are its login servers, and what
	// its federated credentials are for.
	file = write(t, "env.json", `{"activeDirectoryEndpoint":"https://login.microsoftonline.com/","containerRegistryDNSSuffix":"N/A"}`)
	c = load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=" + file}, append(secret, "--cloud=AzureStackCloud")...)
	source, err = ask(t, c, "a.azurecr.io/app", nil, nil)
	if want := exchanged("a.azurecr.io", tenant, entra(login, app(client, tenant, "with the secret in /s"))); err != nil || describe(source) != want {
		t.Errorf("with a known cloud's Entra: got %v, %v", describe(source), err)
	}
	if _, err := ask(t, c, "a.azurecr.cn/app", nil, nil); err == nil || compiled(c).node.cloud.assertionAudience != "api://AzureADTokenExchange" {
		t.Errorf("a registry of another cloud: %v; audience %q", err, compiled(c).node.cloud.assertionAudience)
	}
	// Another Entra that is named beside it is no known cloud's.
	c = load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=" + file}, append(secret, "--cloud=AzureStackCloud", "--authority=https://login.my.cloud")...)
	if source, err := ask(t, c, "a.azurecr.io/app", nil, nil); err == nil && source.Source != nil || compiled(c).node.cloud.registries != "" {
		t.Errorf("with an authority of its own: got %v, %v", describe(source), err)
	}
	// It is that cloud by its own name too.
	config := write(t, "config.yaml", head+"registries: {own.azurecr.io: {cloud: AzurePublicCloud, credential: managed-identity, clientID: "+client2+"}}\n")
	c = load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=" + file}, append(secret, "--cloud=AzureStackCloud", "--config="+config)...)
	if source, err := ask(t, c, "own.azurecr.io/app", nil, nil); err != nil || describe(source) != exchanged("own.azurecr.io", tenant, imds("managed identity "+client2)) {
		t.Errorf("by its own name: got %v, %v", describe(source), err)
	}
	// It may be a cloud that has a name of its own elsewhere.
	file = write(t, "env.json", `{"containerRegistryDNSSuffix":"azurecr.eaglex.ic.gov"}`)
	c = load(t, []string{"AZURE_ENVIRONMENT_FILEPATH=" + file}, "--cloud=AzureStackCloud")
	if source, err := ask(t, c, "a.azurecr.eaglex.ic.gov/app", nil, nil); err != nil || source.Source == nil {
		t.Errorf("got %v, %v", source, err)
	}
}

// An azure.json may say AzureStackCloud where no variable names the file that
// describes it. The vendor's plugin then takes the node for one of the public
// cloud. Here nothing of the node's leaves for a cloud that may not be its own.
func TestAnAzureStackThatNothingDescribes(t *testing.T) {
	machines := write(t, "azure.json", `{"cloud":"AzureStackCloud","useManagedIdentityExtension":true,"tenantId":"`+tenant+`"}`)
	secret := write(t, "azure.json", `{"cloud":"azurestackcloud","aadClientId":"`+client+`","aadClientSecret":"hunter2","tenantId":"`+tenant+`"}`)
	file := write(t, "config.yaml", head+"registries: {own.azurecr.io: {credential: client-secret, clientID: "+client2+", clientSecretFile: /s, tenantID: "+tenant2+", cloud: AzurePublicCloud}, plain.azurecr.io: {login: {username: u, passwordFile: /p}}}\n")
	annotations := map[string]string{clientAnnotation: client, tenantAnnotation: tenant}
	const refused = "registry of cloud AzurePublicCloud, while the node's is AzureStackCloud, which nothing describes: name the node's with --cloud, or the file that describes it in AZURE_ENVIRONMENT_FILEPATH"
	for name, tc := range map[string]struct {
		args       []string
		image      string
		pod        bool
		want, fail string
	}{
		"not its registry":                {args: []string{machines}, image: "docker.io/app", want: "nothing"},
		"a machine, if its token says so": {args: []string{machines}, want: exchanged("a.azurecr.io", tenant, imds(machine))},
		"a machine, elsewhere":            {args: []string{machines}, image: "a.azurecr.cn/app", fail: "registry of cloud AzureChinaCloud"},
		"a machine that is described":     {args: []string{machines, "--registry-suffix=azurecr.my.cloud"}, fail: "while the identity is of AzureStackCloud"},
		"a machine of Arc":                {args: []string{machines, "--credential=azure-arc"}, fail: refused},
		"a secret":                        {args: []string{secret}, fail: refused},
		"a pod":                           {args: []string{machines}, pod: true, fail: refused},
		"a registry's own identity":       {args: []string{secret, "--config=" + file}, image: "own.azurecr.io/app", want: exchanged("own.azurecr.io", tenant2, entra(login, app(client2, tenant2, "with the secret in /s")))},
		"a registry's password":           {args: []string{secret, "--config=" + file}, image: "plain.azurecr.io/app", want: "/p for the password of user u at plain.azurecr.io"},
		"a secret, by the operator":       {args: []string{secret, "--cloud=AzurePublicCloud"}, want: exchanged("a.azurecr.io", tenant, entra(login, app(client, tenant, "with the secret in "+secret)))},
		"a pod, by the operator":          {args: []string{machines, "--cloud=AzurePublicCloud"}, pod: true, want: exchanged("a.azurecr.io", tenant, entra(login, "service account prod/sa as application "+client+" of tenant "+tenant))},
	} {
		t.Run(name, func(t *testing.T) {
			var pod *serviceaccount.Token
			if tc.pod {
				pod = testPod(t)
			}
			got, err := ask(t, load(t, nil, tc.args...), cmp.Or(tc.image, "a.azurecr.io/app"), pod, annotations)
			if tc.fail != "" && (err == nil || !strings.Contains(err.Error(), tc.fail)) || tc.fail == "" && (err != nil || describe(got) != tc.want) {
				t.Errorf("got %s, %v", describe(got), err)
			}
		})
	}
	// A file that describes it is believed, and its identity stays there.
	described := []string{"AZURE_ENVIRONMENT_FILEPATH=" + write(t, "env.json", `{"activeDirectoryEndpoint":"https://login.my.cloud/"}`)}
	if _, err := tryLoad(described, secret, "--cloud=AzurePublicCloud"); err == nil || !strings.Contains(err.Error(), "identities do not leave their cloud") {
		t.Errorf("got %v", err)
	}
}

// A managed identity's token says itself of which cloud it is.
func TestTheTokenOfAMachineThatNothingDescribes(t *testing.T) {
	for issuer, ok := range map[string]bool{
		"https://sts.windows.net/" + tenant + "/":                         true,
		"https://login.microsoftonline.com/" + tenant + "/v2.0":           true,
		"https://login.microsoftonline.com.evil.test/" + tenant + "/":     false,
		"https://sts.chinacloudapi.cn/" + tenant + "/":                    false,
		"https://login.microsoftonline.eaglex.ic.gov/" + tenant + "/v2.0": false,
		"": false,
	} {
		token := plugintest.JWT(`{"iss":"` + issuer + `","appid":"` + client + `","oid":"` + client2 + `","tid":"` + tenant + `"}`)
		s := &cloudFake{t: t, answers: []answer{{200, `{"access_token":"` + token + `","expires_in":"3599"}`, nil}}}
		_, err := (&managedIdentity{audience: defaultAudience, issuers: publicIssuers, endpoints: s.endpoints()}).Fetch(t.Context(), nil)
		if ok != (err == nil) {
			t.Errorf("%s: got %v", issuer, err)
		}
		if err != nil {
			plugintest.WantFailure(t, err, true, "the machine's token is not of AzurePublicCloud", "AZURE_ENVIRONMENT_FILEPATH", "imds; as the machine's managed identity (client id "+client+", object id "+client2+", tenant "+tenant+")")
		}
	}
}

func FuzzEnvironment(f *testing.F) {
	f.Add([]byte(`{"activeDirectoryEndpoint":"https://login.my.cloud/","containerRegistryDNSSuffix":"azurecr.my.cloud"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseEnvironment(text)
		if err == nil && strings.ContainsAny(c.authority+c.registries, "/@?# \\\n*") {
			t.Errorf("%q: got %+v", text, c)
		}
	})
}
