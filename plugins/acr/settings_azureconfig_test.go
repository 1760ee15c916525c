package acr

import (
	"strings"
	"testing"
)

func TestAzureConfig(t *testing.T) {
	const resource = "/Subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
	named := `"tenantId":"` + tenant + `","aadClientId":"` + client + `"`
	by := func(how string) string { return entra("login.test", app(client, tenant, how)) }
	for name, tc := range map[string]struct{ text, want string }{
		"a managed identity":            {`{"useManagedIdentityExtension":true}`, imds(machine)},
		"keys in any case":              {`{"UseManagedIdentityExtension":true,"USERASSIGNEDIDENTITYID":"` + client + `"}`, imds("managed identity " + client)},
		"YAML":                          {"useManagedIdentityExtension: true\nuserAssignedIdentityID: " + client, imds("managed identity " + client)},
		"a byte order mark":             {"\xef\xbb\xbf" + `{"useManagedIdentityExtension":true}`, imds(machine)},
		"by a node's providerID":        {`{"useManagedIdentityExtension":true,"userAssignedIdentityID":"azure://` + resource + `"}`, imds("managed identity " + resource)},
		"what was written twice":        {`{"TENANTID":"x.test",` + named + `,"aadClientSecret":"s"}`, by("with the secret in /FILE")},
		"what is null":                  {`{"useManagedIdentityExtension":true,"userAssignedIdentityID":null}`, imds(machine)},
		"by resource id":                {`{"useManagedIdentityExtension":true,"userAssignedIdentityID":"` + resource + `"}`, imds("managed identity " + resource)},
		"a managed identity before all": {`{"useManagedIdentityExtension":true,` + named + `,"aadClientSecret":"s","useFederatedWorkloadIdentityExtension":true}`, imds(machine)},
		"a secret":                      {`{` + named + `,"aadClientSecret":"s"}`, by("with the secret in /FILE")},
		"a secret before a certificate": {`{` + named + `,"aadClientSecret":"s","aadClientCertPath":"/c"}`, by("with the secret in /FILE")},
		"msi is none":                   {`{` + named + `,"aadClientSecret":"MSI","aadClientCertPath":"/c"}`, by("with the certificate in /c")},
		"a certificate with a password": {`{` + named + `,"aadClientCertPath":"/c","aadClientCertPassword":"hunter2"}`, by("with the certificate in /c")},
		"a federated token":             {`{` + named + `,"useFederatedWorkloadIdentityExtension":true,"aadFederatedTokenFile":"/t","aadClientSecret":"s"}`, by("with the token in /t")},
		"what is not known":             {`{"useManagedIdentityExtension":true,"vmType":"vmss","resourceManagerEndpoint":"https://evil.test","cloudProviderBackoffRetries":6}`, imds(machine)},

		"nothing":                        {`{}`, "/FILE names no identity: useManagedIdentityExtension is not true"},
		"what says no":                   {`{"useManagedIdentityExtension":false,"tenantId":"` + tenant + `"}`, "/FILE names no identity"},
		"msi without a managed one":      {`{"aadClientId":"msi","aadClientSecret":"msi","tenantId":"` + tenant + `"}`, "/FILE names no identity"},
		"a secret and no application":    {`{"aadClientSecret":"hunter2","tenantId":"` + tenant + `"}`, "/FILE names no identity"},
		"an application and no tenant":   {`{"aadClientId":"` + client + `","aadClientSecret":"hunter2"}`, "tenantId in /FILE: missing"},
		"an application that is none":    {`{"aadClientId":"../x","aadClientSecret":"hunter2","tenantId":"` + tenant + `"}`, `aadClientId in /FILE: not an id such as 00000000-0000-0000-0000-000000000000: "../x"`},
		"an identity that is none":       {`{"useManagedIdentityExtension":true,"userAssignedIdentityID":"me&resource=x"}`, `userAssignedIdentityID in /FILE: not an id such as 00000000-0000-0000-0000-000000000000: "me&resource=x"`},
		"a resource that is none":        {`{"useManagedIdentityExtension":true,"userAssignedIdentityID":"x/subscriptions/"}`, "userAssignedIdentityID in /FILE: not a resource id"},
		"a certificate somewhere":        {`{` + named + `,"aadClientCertPath":"c.pem"}`, `aadClientCertPath in /FILE: not an absolute path: "c.pem"`},
		"a federated token that is not":  {`{` + named + `,"useFederatedWorkloadIdentityExtension":true}`, "aadFederatedTokenFile in /FILE: missing"},
		"federation services, by tenant": {`{"useManagedIdentityExtension":true,"tenantId":"ADFS"}`, "/FILE is of Active Directory Federation Services (adfs), which are not supported"},
		"federation services":            {`{` + named + `,"aadClientSecret":"hunter2","identitySystem":"ADFS"}`, "/FILE is of Active Directory Federation Services (adfs), which are not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := parseAzureConfig([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			n := c.identity("/FILE", c.tenantID)
			n.cloud = cloud{name: "x", authority: "login.test"}
			if got := described(t, n); !strings.HasPrefix(got, tc.want) || strings.Contains(got, "hunter2") {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestBrokenAzureConfigs(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "not a YAML or JSON object",
		"null":                                   "not a YAML or JSON object",
		"[]":                                     "not a YAML or JSON object",
		`"hunter2"`:                              "not a YAML or JSON object",
		"{":                                      "line ",
		"\taadClientSecret: hunter2":             "line ",
		`{"useManagedIdentityExtension":"true"}`: "useManagedIdentityExtension: of the wrong type: booleans and texts must be such",
		`{"aadClientSecret":{"hunter2":1}}`:      "aadClientSecret: of the wrong type: booleans and texts must be such",
		`{"tenantId":"a/../b"}`:                  `tenantId: neither the id of a tenant nor a domain: "a/../b"`,
		`{"tenantId":"common"}`:                  `tenantId: neither the id of a tenant nor a domain: "common"`,
		"a: &a [*a]":                             "",
	} {
		_, err := parseAzureConfig([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// A pod with an identity of its own does not need the node's.
func TestAnAzureConfigWithoutIdentityIsAnErrorOnlyWhenItIsNeeded(t *testing.T) {
	file := write(t, "azure.json", `{"useManagedIdentityExtension":false,"tenantId":"`+tenant+`"}`)
	s := load(t, nil, file)
	if _, err := ask(t, s, "a.azurecr.io/app", nil, nil); err == nil || !strings.HasPrefix(err.Error(), file+" names no identity") {
		t.Errorf("got %v", err)
	}
	if _, err := ask(t, s, "a.azurecr.io/app", testPod(t), map[string]string{clientAnnotation: client}); err != nil {
		t.Error(err)
	}
	file = write(t, "azure.json", `{"tenantId":"adfs","aadClientId":"`+client+`","aadClientSecret":"hunter2"}`)
	s = load(t, nil, file)
	if _, err := ask(t, s, "a.azurecr.io/app", nil, nil); err == nil || !strings.HasPrefix(err.Error(), file+" is of Active Directory Federation Services") {
		t.Errorf("got %v", err)
	}
	if _, err := ask(t, s, "a.azurecr.io/app", testPod(t), map[string]string{clientAnnotation: client, tenantAnnotation: tenant}); err != nil {
		t.Error(err)
	}
	if _, err := tryLoad(nil, write(t, "azure.json", `{"cloud":"AzureMars"}`)); err == nil || !strings.HasPrefix(err.Error(), "settings: azureConfig ") || !strings.Contains(err.Error(), `cloud: none of AzurePublicCloud, `) {
		t.Errorf("an unknown cloud: %v", err)
	}
}

func TestAnAzureConfigThatIsNotThere(t *testing.T) {
	_, err := tryLoad(nil, "/absent/azure.json")
	if err == nil || err.Error() != "settings: azureConfig /absent/azure.json: no such file or directory; leave it out to pull with the machine's managed identity" {
		t.Errorf("got %v", err)
	}
}

func FuzzAzureConfig(f *testing.F) {
	f.Add([]byte(`{"cloud":"AzurePublicCloud","tenantId":"` + tenant + `","useManagedIdentityExtension":true,"userAssignedIdentityID":"` + client + `"}`))
	f.Add([]byte("aadClientId: " + client + "\naadClientSecret: s\ntenantId: " + tenant))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseAzureConfig(text)
		if err != nil {
			return
		}
		n := c.identity("/azure.json", c.tenantID)
		if n.err != nil {
			return
		}
		n.cloud = clouds[0]
		if _, err := n.source(&provider{audience: "a"}, loginServer{cloud: publicCloud}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if n.TenantID != "" && !isTenant(n.TenantID) || n.ClientID != "" && !isGUID(n.ClientID) {
			t.Errorf("%q: got %+v", text, n.Identity)
		}
	})
}
