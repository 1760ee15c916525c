package acr

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
)

const entraBody = `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"entra-token"}`

func TestTheMetadataService(t *testing.T) {
	s := &cloudFake{t: t, answers: []answer{{200, `{"access_token":"imds-token","refresh_token":"","expires_in":"3599","expires_on":"4000000000","resource":"x","token_type":"Bearer"}`, nil}}}
	identity := &managedIdentity{selector: selector{"msi_res_id", "/subscriptions/s/resourceGroups/g&h"}, audience: defaultAudience, endpoints: s.endpoints()}
	c, err := identity.Fetch(t.Context(), nil)
	if err != nil || c.Value.Reveal() != "imds-token" || (time.Until(c.Expires)-3599*time.Second).Abs() > 5*time.Second {
		t.Fatalf("got %+v, %v", c, err)
	}
	r := s.asked[0]
	const want = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&msi_res_id=%2Fsubscriptions%2Fs%2FresourceGroups%2Fg%26h&resource=https%3A%2F%2Fcontainerregistry.azure.net"
	if r.Method != http.MethodGet || r.URL.String() != want || r.Header.Get("Metadata") != "true" || r.Header.Get("X-Forwarded-For") != "" {
		t.Errorf("asked %s %s with %v", r.Method, r.URL, r.Header)
	}
}

func TestEntra(t *testing.T) {
	file := write(t, "secret", "the-secret\n")
	for name, tc := range map[string]struct {
		auth clientAuth
		want map[string]string
	}{
		"a secret in a file":      {secretAuth{file: file}, map[string]string{"client_secret": "the-secret"}},
		"a secret in azure.json":  {secretAuth{azureConfig: "/azure.json", secret: credential.NewSecret("other")}, map[string]string{"client_secret": "other"}},
		"a token in a file":       {tokenFileAuth{file: file}, map[string]string{"client_assertion": "the-secret", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}},
		"a managed identity":      {managedAuth{&managedIdentity{audience: "api://AzureADTokenExchange"}}, map[string]string{"client_assertion": "held", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}},
		"a pod's service account": {podAuth{pod: testPod(t)}, map[string]string{"client_assertion": testPod(t).Reveal(), "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &cloudFake{t: t, answers: []answer{{200, entraBody, nil}}}
			app := &application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, auth: tc.auth, endpoints: s.endpoints()}
			c, err := app.Fetch(t.Context(), holding("held"))
			if err != nil || c.Value.Reveal() != "entra-token" || (time.Until(c.Expires)-3599*time.Second).Abs() > 5*time.Second {
				t.Fatalf("got %+v, %v", c, err)
			}
			if r := s.asked[0]; r.Method != http.MethodPost || r.URL.String() != "https://login.test/"+tenant+"/oauth2/v2.0/token" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("asked %s %s with %v", r.Method, r.URL, r.Header)
			}
			want := map[string]string{"grant_type": "client_credentials", "client_id": client, "scope": "https://containerregistry.azure.net/.default"}
			for name, value := range tc.want {
				want[name] = value
			}
			plugintest.WantForm(t, s.forms[0], want)
		})
	}
}

// Certificate authorities that cannot be read are the node's mistake, and each
// kind has a setting of its own.
func TestCertificateAuthoritiesThatAreNotThere(t *testing.T) {
	const file = "/absent/ca.crt"
	e := newEndpoints(file, func(string) string { return "" })
	refresh := &refreshToken{server: loginServer{host: "a.azurecr.io"}, entra: &managedIdentity{audience: defaultAudience}, endpoints: e}
	for source, setting := range map[credential.TokenSource]string{
		refresh: "--ca-file",
		&accessToken{repository: "app", refresh: refresh}: "--ca-file",
		&application{authority: login, tenant: tenant, client: client, audience: defaultAudience, auth: podAuth{pod: testPod(t)}, endpoints: e}:                                      "--ca-file",
		&identityBinding{bindings: &bindings{server: "x.ests.aks", address: "10.0.0.1:443", caFile: file}, client: client, audience: defaultAudience, pod: testPod(t), endpoints: e}: "--ib-ca-file",
	} {
		_, err := source.Fetch(t.Context(), holding("x"))
		plugintest.WantFailure(t, err, true, "certificate authorities: "+file+": no such file or directory", "correct "+setting+" or the file", "; as ")
	}
}

func TestIdentityBinding(t *testing.T) {
	s := &cloudFake{t: t, answers: []answer{{200, entraBody, nil}}}
	binding := &identityBinding{bindings: &bindings{server: "x.ests.aks", address: "10.0.0.1:443"}, client: client, audience: defaultAudience, pod: testPod(t), endpoints: s.endpoints()}
	if c, err := binding.Fetch(t.Context(), nil); err != nil || c.Value.Reveal() != "entra-token" {
		t.Fatalf("got %+v, %v", c, err)
	}
	if r := s.asked[0]; r.Method != http.MethodPost || r.URL.Host != "x.ests.aks" || strings.Trim(r.URL.RequestURI(), "/") != "" || r.URL.Scheme != "https" {
		t.Errorf("asked %s %s", r.Method, r.URL)
	}
	plugintest.WantForm(t, s.forms[0], map[string]string{
		"grant_type": "client_credentials", "client_id": client, "scope": "https://containerregistry.azure.net/.default",
		"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": testPod(t).Reveal(),
	})
}

func TestExchange(t *testing.T) {
	token := plugintest.JWT(`{"exp":4000000000}`)
	for name, tc := range map[string]struct {
		tenant string
		want   map[string]string
	}{
		"with a tenant": {tenant, map[string]string{"grant_type": "access_token", "service": "a.azurecr.io", "access_token": "entra-token", "tenant": tenant}},
		"without":       {"", map[string]string{"grant_type": "access_token", "service": "a.azurecr.io", "access_token": "entra-token"}},
	} {
		s := &cloudFake{t: t, answers: []answer{{200, `{"refresh_token":"` + token + `","access_token":"not this one"}`, nil}}}
		refresh := &refreshToken{server: loginServer{host: "a.azurecr.io"}, tenant: tc.tenant, entra: &managedIdentity{}, endpoints: s.endpoints()}
		got, err := refresh.Fetch(t.Context(), holding("entra-token"))
		c := got.Login(tokenUser)
		if err != nil || c.Password.Reveal() != token || c.Username != "00000000-0000-0000-0000-000000000000" {
			t.Fatalf("%s: got %+v, %v", name, c, err)
		}
		if r := s.asked[0]; r.Method != http.MethodPost || r.URL.String() != "https://a.azurecr.io/oauth2/exchange" {
			t.Errorf("asked %s %s", r.Method, r.URL)
		}
		plugintest.WantForm(t, s.forms[0], tc.want)
	}
}

func TestTokensOfARepository(t *testing.T) {
	token := plugintest.JWT(`{"exp":4000000000}`)
	s := &cloudFake{t: t, answers: []answer{{200, `{"access_token":"` + token + `","refresh_token":"not this one"}`, nil}}}
	access := &accessToken{repository: "team/app", refresh: &refreshToken{server: loginServer{host: "a.azurecr.io"}, entra: &managedIdentity{}, endpoints: s.endpoints()}}
	c, err := access.Fetch(t.Context(), holding("refresh-token"))
	if err != nil || c.Value.Reveal() != token {
		t.Fatalf("got %+v, %v", c, err)
	}
	if r := s.asked[0]; r.Method != http.MethodPost || r.URL.String() != "https://a.azurecr.io/oauth2/token" {
		t.Errorf("asked %s %s", r.Method, r.URL)
	}
	plugintest.WantForm(t, s.forms[0], map[string]string{"grant_type": "refresh_token", "service": "a.azurecr.io", "scope": "repository:team/app:pull", "refresh_token": "refresh-token"})
}

// A registry's token has its end in itself alone, by the registry's clock, and
// is asked for again after half an hour.
func TestTheLifeOfARegistrysToken(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) string {
		text, _ := json.Marshal(map[string]int64{"exp": now.Add(d).Unix()})
		return plugintest.JWT(string(text))
	}
	for name, tc := range map[string]struct {
		token string
		date  time.Time
		life  time.Duration
	}{
		"its own end":           {at(3 * time.Hour), now, 3 * time.Hour},
		"without a date":        {at(3 * time.Hour), time.Time{}, 3 * time.Hour},
		"by a clock ahead":      {at(3 * time.Hour), now.Add(time.Hour), 2 * time.Hour},
		"by a clock behind":     {at(3 * time.Hour), now.Add(-time.Hour), 4 * time.Hour},
		"more than a token has": {at(1e6 * time.Hour), now, 24 * time.Hour},
		"one that says nothing": {plugintest.JWT(`{}`), now, 5 * time.Minute},
		"one that is no JWT":    {"opaque", now, 5 * time.Minute},
	} {
		header := http.Header{}
		if !tc.date.IsZero() {
			header.Set("Date", tc.date.UTC().Format(http.TimeFormat))
		}
		s := &cloudFake{t: t, answers: []answer{{200, `{"refresh_token":"` + tc.token + `"}`, header}}}
		c, err := (&refreshToken{server: loginServer{host: "a.azurecr.io"}, entra: &managedIdentity{}, endpoints: s.endpoints()}).Fetch(t.Context(), holding("x"))
		if err != nil || (c.Expires.Sub(now)-tc.life).Abs() > 5*time.Second || c.Value.Reveal() != tc.token {
			t.Errorf("%s: got %s, %v", name, c.Expires.Sub(now), err)
		}
		if (c.Refresh.Sub(now) - 30*time.Minute).Abs() > 5*time.Second {
			t.Errorf("%s: is asked for again after %s", name, c.Refresh.Sub(now))
		}
	}
}

// Who it was is what Entra's token says of itself, and goes on to the registry's
// tokens.
func TestTheCaller(t *testing.T) {
	const user, machines = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull", "/subscriptions/s/resourcegroups/g/providers/Microsoft.Compute/virtualMachines/vm-7"
	const asked = "managed identity " + client // which is what the ids need not repeat
	ids := "object id " + client2 + ", tenant " + tenant
	for claims, want := range map[string]string{
		`"appid":"` + client + `","oid":"` + client2 + `","tid":"` + tenant + `","xms_mirid":"` + user + `"`:     asked + " (pull, " + ids + ")",
		`"appid":"` + client + `","oid":"` + client2 + `","tid":"` + tenant + `","xms_mirid":"` + machines + `"`: asked + " (vm-7, " + ids + ")",
		`"azp":"` + tenant2 + `","oid":"` + client2 + `","tid":"` + tenant + `"`:                                 asked + " (client id " + tenant2 + ", " + ids + ")",
		`"oid":"` + client2 + `"`: asked + " (object id " + client2 + ")",
		`"appid":"x\ny","oid":"z","tid":"` + strings.Repeat("a", 400) + `"`: asked,
		`"appid":5`: asked,
	} {
		entra := plugintest.JWT("{" + claims + "}")
		s := &cloudFake{t: t, answers: []answer{{200, `{"access_token":"` + entra + `","expires_in":3599}`, nil}, {200, `{"refresh_token":"r"}`, nil}, {200, `{"access_token":"a"}`, nil}}}
		identity := &managedIdentity{selector: selector{"client_id", client}, audience: defaultAudience, endpoints: s.endpoints()}
		access := &accessToken{repository: "app", refresh: &refreshToken{server: loginServer{host: "a.azurecr.io"}, entra: identity, endpoints: s.endpoints()}}
		var uncached tokens
		uncached = func(source credential.TokenSource) (credential.Token, error) {
			return source.Fetch(t.Context(), uncached)
		}
		c, err := credential.Login(tokenUser, access).Fetch(t.Context(), uncached)
		if err != nil || c.Caller != want {
			t.Errorf("%s: got %q, %v", claims, c.Caller, err)
		}
	}
}

// An answer of no use is a failure, and what is in it is in no message.
func TestAnswersOfNoUse(t *testing.T) {
	for body, want := range map[string]string{
		`{`:                                     "the answer cannot be read",
		`"hunter2hunter2"`:                      "the answer cannot be read",
		`{}`:                                    "the answer holds no token",
		`{"access_token":"hunter2hunter2"}`:     "the answer holds a token without an expiry",
		`{"access_token":"","expires_in":3599}`: "the answer holds no token",
		`{"access_token":"hunter2 hunter2","expires_in":3599}`:               "characters that no token has",
		`{"access_token":"hunter2hunter2","expires_in":-1}`:                  "without an expiry",
		`{"access_token":"hunter2hunter2","expires_in":5,"expires_on":"12"}`: "already expired, at 1970-01-01T00:00:12Z",
	} {
		s := &cloudFake{t: t, answers: []answer{{200, body, nil}}}
		_, err := (&managedIdentity{audience: "a", endpoints: s.endpoints()}).Fetch(t.Context(), nil)
		advice := "something else may answer in place of Azure's metadata service"
		if strings.Contains(want, "expired") {
			advice = "check the node's clock"
		}
		if text := plugintest.WantFailure(t, err, false, want, advice, "imds at 169.254.169.254; as the machine's managed identity for audience a"); strings.Contains(text, "hunter2") || strings.Contains(text, "status 200") {
			t.Errorf("%s: got %v", body, err)
		}
	}
	for body, want := range map[string]string{
		`{`: "the answer cannot be read", `{}`: "the answer holds no token", `{"refresh_token":""}`: "the answer holds no token",
		`{"refresh_token":"` + plugintest.JWT(`{"exp":12}`) + `"}`: "already expired",
		`{"refresh_token":"a b"}`:                                  "characters that no token has", `{"refresh_token":"a\u0000"}`: "characters that no token has", `{"refresh_token":"ä"}`: "characters that no token has",
	} {
		s := &cloudFake{t: t, answers: []answer{{200, body, nil}}}
		_, err := (&refreshToken{server: loginServer{host: "a.azurecr.io"}, entra: &managedIdentity{}, endpoints: s.endpoints()}).Fetch(t.Context(), holding("x"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("%s: got %v", body, err)
		}
	}
}
