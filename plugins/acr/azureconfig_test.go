package acr

import (
	"strings"
	"testing"
)

func TestAzureConfig(t *testing.T) {
	const resource = "/Subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
	app := `"tenantId":"` + tenant + `","aadClientId":"` + client + `"`
	const entra = client + " of " + tenant + " at : "
	for name, tc := range map[string]struct{ text, want string }{
		"a managed identity":            {`{"useManagedIdentityExtension":true}`, "imds"},
		"keys in any case":              {`{"UseManagedIdentityExtension":true,"USERASSIGNEDIDENTITYID":"` + client + `"}`, "imds client_id " + client},
		"YAML":                          {"useManagedIdentityExtension: true\nuserAssignedIdentityID: " + client, "imds client_id " + client},
		"a byte order mark":             {"\xef\xbb\xbf" + `{"useManagedIdentityExtension":true}`, "imds"},
		"by resource id":                {`{"useManagedIdentityExtension":true,"userAssignedIdentityID":"` + resource + `"}`, "imds msi_res_id " + resource},
		"a managed identity before all": {`{"useManagedIdentityExtension":true,` + app + `,"aadClientSecret":"s","useFederatedWorkloadIdentityExtension":true}`, "imds"},
		"a secret":                      {`{` + app + `,"aadClientSecret":"s"}`, entra + "client-secret /FILE"},
		"a secret before a certificate": {`{` + app + `,"aadClientSecret":"s","aadClientCertPath":"/c"}`, entra + "client-secret /FILE"},
		"msi is none":                   {`{` + app + `,"aadClientSecret":"MSI","aadClientCertPath":"/c"}`, entra + "client-certificate /c"},
		"a certificate with a password": {`{` + app + `,"aadClientCertPath":"/c","aadClientCertPassword":"hunter2"}`, entra + "client-certificate /c"},
		"a federated token":             {`{` + app + `,"useFederatedWorkloadIdentityExtension":true,"aadFederatedTokenFile":"/t","aadClientSecret":"s"}`, entra + "workload-identity /t"},
		"what is not known":             {`{"useManagedIdentityExtension":true,"vmType":"vmss","resourceManagerEndpoint":"https://evil.test","cloudProviderBackoffRetries":6}`, "imds"},

		"nothing":                        {`{}`, "/FILE names no identity: useManagedIdentityExtension is not true"},
		"what says no":                   {`{"useManagedIdentityExtension":false,"tenantId":"` + tenant + `"}`, "/FILE names no identity"},
		"msi without a managed one":      {`{"aadClientId":"msi","aadClientSecret":"msi","tenantId":"` + tenant + `"}`, "/FILE names no identity"},
		"a secret and no application":    {`{"aadClientSecret":"hunter2","tenantId":"` + tenant + `"}`, "/FILE names no identity"},
		"an application and no tenant":   {`{"aadClientId":"` + client + `","aadClientSecret":"hunter2"}`, "/FILE: tenantId: is needed"},
		"an application that is none":    {`{"aadClientId":"../x","aadClientSecret":"hunter2","tenantId":"` + tenant + `"}`, `/FILE: aadClientId: "../x" is not an id`},
		"an identity that is none":       {`{"useManagedIdentityExtension":true,"userAssignedIdentityID":"me&resource=x"}`, `/FILE: userAssignedIdentityID: "me&resource=x" is not an id`},
		"a resource that is none":        {`{"useManagedIdentityExtension":true,"userAssignedIdentityID":"x/subscriptions/"}`, "/FILE: userAssignedIdentityID: "},
		"a certificate somewhere":        {`{` + app + `,"aadClientCertPath":"c.pem"}`, `/FILE: aadClientCertPath: "c.pem" is not an absolute path`},
		"a federated token that is not":  {`{` + app + `,"useFederatedWorkloadIdentityExtension":true}`, "/FILE: aadFederatedTokenFile: is needed"},
		"federation services, by tenant": {`{"useManagedIdentityExtension":true,"tenantId":"ADFS"}`, "/FILE is of Active Directory Federation Services (adfs), which are not supported"},
		"federation services":            {`{` + app + `,"aadClientSecret":"hunter2","identitySystem":"ADFS"}`, "/FILE is of Active Directory Federation Services (adfs), which are not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := parseAzureConfig([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			h := c.holder("/FILE")
			h.cloud = cloud{name: "x"}
			if h.kind() != managed {
				h.cloud.authority = "unset"
			}
			got := strings.Replace(described(t, h), "unset", "", 1)
			if !strings.HasPrefix(strings.TrimSpace(got), tc.want) || strings.Contains(got, "hunter2") {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestBrokenAzureConfigs(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "is not a JSON or YAML object",
		"null":                                   "is not a JSON or YAML object",
		"[]":                                     "is not a JSON or YAML object",
		`"hunter2"`:                              "is not a JSON or YAML object",
		"{":                                      "is not JSON or YAML",
		"\taadClientSecret: hunter2":             "is not JSON or YAML",
		`{"useManagedIdentityExtension":"true"}`: "has a field of the wrong type: booleans and texts must be such: useManagedIdentityExtension",
		`{"aadClientSecret":{"hunter2":1}}`:      "has a field of the wrong type: booleans and texts must be such: aadClientSecret",
		`{"tenantId":"a/../b"}`:                  `tenantId: "a/../b" is neither`,
		`{"tenantId":"common"}`:                  `tenantId: "common" is neither`,
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
	if _, err := tryLoad(nil, write(t, "azure.json", `{"cloud":"AzureMars"}`)); err == nil || !strings.HasPrefix(err.Error(), "azureConfig ") || !strings.Contains(err.Error(), `cloud: "AzureMars" is none of`) {
		t.Errorf("an unknown cloud: %v", err)
	}
}

func TestAnAzureConfigThatIsNotThere(t *testing.T) {
	_, err := tryLoad(nil, "/absent/azure.json")
	if err == nil || err.Error() != "azureConfig /absent/azure.json: no such file or directory; leave it out to pull with the machine's managed identity" {
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
		h := c.holder("/azure.json")
		if h.err != nil {
			return
		}
		h.cloud = clouds[0]
		if _, err := h.source(place{audience: "a"}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if h.TenantID != "" && !isTenant(h.TenantID) || h.ClientID != "" && !isGUID(h.ClientID) {
			t.Errorf("%q: got %+v", text, h.Identity)
		}
	})
}
