package azure

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

const entraURL = "https://login.microsoftonline.com/" + HomeTenant + "/oauth2/v2.0/token"

func (g rig) entra(form url.Values) *httptest.ResponseRecorder {
	return post(g.Entra(Public), entraURL, form)
}

// secretForm is a request that is granted.
func (g rig) secretForm() url.Values {
	return form("grant_type", "client_credentials", "client_id", appID, "scope", ACRAudience+"/.default", "client_secret", g.AddSecret(appID, time.Hour))
}

func assertionForm(assertion string) url.Values {
	return form("grant_type", "client_credentials", "client_id", appID, "scope", ACRAudience+"/.default",
		"client_assertion_type", assertionType, "client_assertion", assertion)
}

func TestASecretIsGrantedATokenOfItsApp(t *testing.T) {
	g := newRig()
	g.AddApp(App{ClientID: appID})
	for _, target := range []string{entraURL, "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token"} {
		answer := post(g.Entra(Public), target, g.secretForm())
		known, ok := g.Token(text(t, answer, "access_token"))
		if !ok || known.Principal != (Principal{HomeTenant, appID}) || known.Audience != ACRAudience || known.Service != "entra" {
			t.Errorf("known %+v, %t", known, ok)
		}
		if left, _ := cloudtest.Object(t, answer)["expires_in"].(float64); left < 3598 || left > 3600 {
			t.Errorf("expires in %v", left)
		}
	}
	g.wantNoViolation(t)
}

func TestFormsThatEntraRefuses(t *testing.T) {
	g := newRig()
	g.AddApp(App{ClientID: appID})
	good := g.secretForm()
	for _, test := range []struct {
		name   string
		form   url.Values
		says   string
		status int
	}{
		{"another grant", changed(good, "grant_type", "password"), "AADSTS70003", 400},
		{"no client", changed(good, "client_id"), "client_id", 400},
		{"no scope", changed(good, "scope"), "AADSTS1002012", 400},
		{"a scope that is no default", changed(good, "scope", ACRAudience), "AADSTS1002012", 400},
		{"two scopes", changed(good, "scope", "openid "+ACRAudience+"/.default"), "AADSTS1002012", 400},
		{"a field twice", changed(good, "scope", "a/.default", "b/.default"), "2 times", 400},
		{"an unknown field", changed(good, "resource", ACRAudience), "unknown field", 400},
		{"nothing that proves", changed(good, "client_secret"), "AADSTS7000216", 401},
		{"both proofs", changed(changed(good, "client_assertion", "x"), "client_assertion_type", assertionType), "AADSTS7000216", 401},
		{"an assertion of no type", changed(changed(good, "client_assertion", "x"), "client_secret"), "AADSTS90023", 400},
		{"an assertion that is none", assertionForm("x"), "AADSTS50027", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.calls.Reset()
			g.wantRefusal(t, g.entra(test.form), test.status, test.says, true)
		})
	}
	for name, answer := range map[string]*httptest.ResponseRecorder{
		"GET":              cloudtest.Send(g.Entra(Public), http.MethodGet, entraURL, ""),
		"v1":               post(g.Entra(Public), "https://login.microsoftonline.com/"+HomeTenant+"/oauth2/token", good),
		"a query":          post(g.Entra(Public), entraURL+"?x=1", good),
		"JSON":             cloudtest.Send(g.Entra(Public), http.MethodPost, entraURL, "{}", "Content-Type", "application/json"),
		"Basic":            cloudtest.Send(g.Entra(Public), http.MethodPost, entraURL, good.Encode(), "Content-Type", formKind, "Authorization", "Basic x"),
		"an odd file name": post(g.Entra(Public), "https://login.microsoftonline.com/a/b/oauth2/v2.0/token", good),
	} {
		if answer.Code == 200 {
			t.Errorf("%s is granted", name)
		}
	}
	if violations := g.calls.Violations(); len(violations) < 6 {
		t.Errorf("%d violations, want 6: %v", len(violations), violations)
	}
}

func TestWhomEntraRefuses(t *testing.T) {
	g := newRig()
	g.AddApp(App{ClientID: appID})
	g.AddTenant(Tenant{ID: "11111111-2222-4333-8444-555555555555", Cloud: Public})
	good := g.secretForm()
	at := func(tenant string) string {
		return "https://login.microsoftonline.com/" + tenant + "/oauth2/v2.0/token"
	}
	for _, test := range []struct {
		name, target string
		form         url.Values
		code         string
		number       float64
		status       int
	}{
		{"unknown tenant", at("fabrikam.onmicrosoft.com"), good, "invalid_request", 90002, 400},
		{"app that the tenant does not know", at("11111111-2222-4333-8444-555555555555"), good, "unauthorized_client", 700016, 400},
		{"unknown app", entraURL, changed(good, "client_id", system.ClientID), "unauthorized_client", 700016, 400},
		{"wrong secret", entraURL, changed(good, "client_secret", "x"), "invalid_client", 7000215, 401},
		{"expired secret", entraURL, changed(good, "client_secret", g.AddSecret(appID, -time.Hour)), "invalid_client", 7000222, 401},
		{"another app's secret", entraURL, changed(good, "client_secret", g.AddSecret(system.ClientID, time.Hour)), "invalid_client", 7000215, 401},
		{"unknown audience", entraURL, changed(good, "scope", "https://example.azurecr.io/.default"), "invalid_resource", 500011, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.calls.Reset()
			answer := post(g.Entra(Public), test.target, test.form)
			g.wantRefusal(t, answer, test.status, "AADSTS", false)
			fields := cloudtest.Object(t, answer)
			numbers, _ := fields["error_codes"].([]any)
			if fields["error"] != test.code || len(numbers) != 1 || numbers[0] != test.number || fields["correlation_id"] == nil || fields["trace_id"] == nil {
				t.Errorf("fields %v", fields)
			}
		})
	}
	g.calls.Reset()
	answer := post(g.Entra(China), "https://login.partner.microsoftonline.cn/"+HomeTenant+"/oauth2/v2.0/token", good)
	g.wantRefusal(t, answer, 400, "AADSTS90002", false)
}

// signed is an assertion by a certificate, with the header and claims changed.
func signed(t *testing.T, c Certificate, change func(header, claims map[string]any)) string {
	t.Helper()
	now := time.Now().Unix()
	header := map[string]any{"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint(c.Leaf)}
	claims := map[string]any{"aud": entraURL, "iss": appID, "sub": appID, "jti": fake.GUID(), "nbf": now, "exp": now + 600}
	if change != nil {
		change(header, claims)
	}
	var parts []string
	for _, part := range []map[string]any{header, claims} {
		encoded, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(encoded))
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature, err := rsa.SignPSS(rand.Reader, c.Key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		t.Fatal(err)
	}
	return parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestACertificateSignsForATokenOfItsApp(t *testing.T) {
	g := newRig()
	g.AddApp(App{ClientID: appID})
	own, err := g.AddCertificate(appID)
	if err != nil {
		t.Fatal(err)
	}
	others, err := g.AddCertificate(system.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	chain := []string{base64.StdEncoding.EncodeToString(own.Leaf.Raw)}
	again := signed(t, own, nil)
	type part = map[string]any
	for _, test := range []struct {
		name, assertion string
		says            string // empty: granted
		form            bool
	}{
		{"as MSAL does", again, "", false},
		{"with its chain", signed(t, own, func(h, _ part) { h["x5c"] = chain }), "", false},
		{"used before", again, "used before", true},
		{"another app's", signed(t, others, nil), "AADSTS700027", false},
		{"another key's", signed(t, others, func(h, _ part) { h["x5t#S256"] = thumbprint(own.Leaf) }), "signature", true},
		{"another chain", signed(t, own, func(h, _ part) { h["x5c"] = []string{"AAAA"} }), "x5c", true},
		{"RS256", signed(t, own, func(h, _ part) { h["alg"] = "RS256" }), "RS256", true},
		{"SHA-1 thumbprint", signed(t, own, func(h, _ part) { h["x5t"] = "x"; delete(h, "x5t#S256") }), "AADSTS700027", false},
		{"for the tenant", signed(t, own, func(_, c part) { c["aud"] = "https://login.microsoftonline.com/" + HomeTenant }), "audience", true},
		{"by somebody else", signed(t, own, func(_, c part) { c["iss"] = system.ClientID }), "issuer", true},
		{"of somebody else", signed(t, own, func(_, c part) { c["sub"] = system.ClientID }), "subject", true},
		{"for an hour", signed(t, own, func(_, c part) { c["exp"] = time.Now().Unix() + 3600 }), "good from", true},
		{"without a beginning", signed(t, own, func(_, c part) { delete(c, "nbf") }), "good from", true},
		{"without an id", signed(t, own, func(_, c part) { delete(c, "jti") }), "id", true},
		{"long past", signed(t, own, func(_, c part) { c["nbf"], c["exp"] = time.Now().Unix()-2000, time.Now().Unix()-1400 }), "AADSTS700024", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.calls.Reset()
			answer := g.entra(assertionForm(test.assertion))
			if test.says != "" {
				g.wantRefusal(t, answer, 401, test.says, test.form)
				return
			}
			if known, ok := g.Token(text(t, answer, "access_token")); !ok || known.Principal.ClientID != appID {
				t.Errorf("known %+v, %t", known, ok)
			}
			g.wantNoViolation(t)
		})
	}
}

func TestAServiceAccountsTokenIsAnAssertionOfTheAppsThatSaySo(t *testing.T) {
	const audience = "api://AzureADTokenExchange"
	g := newRig()
	issuer := g.Issuer.URL
	good := FederatedCredential{issuer, puller.Subject(), audience}
	for _, test := range []struct {
		name      string
		federated FederatedCredential
		token     string
		says      string // empty: granted
	}{
		{"as said", good, g.workload(t, audience, time.Hour), ""},
		{"of nobody", FederatedCredential{}, g.workload(t, audience, time.Hour), "AADSTS70025"},
		{"another subject", FederatedCredential{issuer, "system:serviceaccount:shop:other", audience}, g.workload(t, audience, time.Hour), "AADSTS700213"},
		{"another audience", good, g.workload(t, BindingAudience, time.Hour), "AADSTS700212"},
		{"another issuer", FederatedCredential{"https://elsewhere.example", puller.Subject(), audience}, g.workload(t, audience, time.Hour), "AADSTS700211"},
		{"expired", good, g.workload(t, audience, -time.Minute), "AADSTS700024"},
		{"changed", good, g.workload(t, audience, time.Hour)[:700] + "AAAA", "AADSTS50013"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.calls.Reset()
			app := App{ClientID: appID}
			if test.federated != (FederatedCredential{}) {
				app.Federated = append(app.Federated, test.federated)
			}
			g.AddApp(app)
			answer := g.entra(assertionForm(test.token))
			if test.says != "" {
				g.wantRefusal(t, answer, 401, test.says, false)
				return
			}
			if known, ok := g.Token(text(t, answer, "access_token")); !ok || known.Principal.ClientID != appID {
				t.Errorf("known %+v, %t", known, ok)
			}
		})
	}
}

func TestAManagedIdentitysTokenIsAnAssertionInAnotherTenant(t *testing.T) {
	const abroad = "11111111-2222-4333-8444-555555555555"
	g := newRig()
	g.AddTenant(Tenant{ID: abroad, Cloud: Public})
	g.AddApp(App{ClientID: appID, Tenants: []string{HomeTenant, abroad}, Federated: []FederatedCredential{
		{"https://login.microsoftonline.com/" + HomeTenant + "/v2.0", pull.ObjectID, "api://AzureADTokenExchange"},
	}})
	// Whose home tenant is not the identity's.
	g.AddApp(App{ClientID: other.ClientID, Tenants: []string{abroad}, Federated: []FederatedCredential{
		{"https://login.microsoftonline.com/" + HomeTenant + "/v2.0", pull.ObjectID, "api://AzureADTokenExchange"},
	}})
	resource := "resource=" + url.QueryEscape("api://AzureADTokenExchange")
	for _, test := range []struct{ name, query, app, says string }{
		{"as said", resource + "&client_id=" + pull.ClientID, appID, ""},
		{"another identity", resource + "&client_id=" + other.ClientID, appID, "AADSTS700213"},
		{"the system's", resource, appID, "AADSTS700236"},
		{"an app from elsewhere", resource + "&client_id=" + pull.ClientID, other.ClientID, "AADSTS700236"},
		{"a token for registries", acrResource + "&client_id=" + pull.ClientID, appID, "AADSTS700212"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := post(g.Entra(Public), "https://login.microsoftonline.com/"+abroad+"/oauth2/v2.0/token",
				changed(assertionForm(text(t, g.imds(test.query), "access_token")), "client_id", test.app))
			if test.says != "" {
				g.wantRefusal(t, answer, 401, test.says, false)
				return
			}
			if known, ok := g.Token(text(t, answer, "access_token")); !ok || known.Principal != (Principal{abroad, appID}) {
				t.Errorf("known %+v, %t", known, ok)
			}
		})
	}
}
