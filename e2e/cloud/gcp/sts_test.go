package gcp

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/oidc"
)

const (
	formKind    = "application/x-www-form-urlencoded"
	gkeAudience = "identitynamespace:example-project.svc.id.goog:https://container.googleapis.com/v1/projects/example-project/locations/us-central1/clusters/main"
	wifAudience = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/clusters/providers/main"
)

// podRig has both kinds of providers.
func podRig() rig {
	g := newRig()
	g.AddProvider(Cluster("example-project", "123456789012", g.Issuer.URL))
	g.AddProvider(WorkloadIdentity("123456789012", "clusters", "main"))
	return g
}

func exchange(audience, token string) url.Values {
	return url.Values{
		"grant_type":           {exchangeGrant},
		"requested_token_type": {accessTokenType},
		"subject_token_type":   {jwtType},
		"subject_token":        {token},
		"audience":             {audience},
		"scope":                {CloudPlatform},
	}
}

func (g rig) askSTS(kind, body string, headers ...string) *httptest.ResponseRecorder {
	return cloudtest.Send(g.STS(), http.MethodPost, "https://sts.googleapis.com/v1/token", body, append(headers, "Content-Type", kind)...)
}

func TestAnExchangeAnswersATokenOfThePrincipal(t *testing.T) {
	const number = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/"
	for _, test := range []struct {
		name, audience, tokenAudience string
		want                          Principal
	}{
		{"GKE", gkeAudience, "example-project.svc.id.goog", number + "example-project.svc.id.goog/subject/ns/shop/sa/puller"},
		{"workload identity", wifAudience, "https:" + wifAudience, number + "clusters/subject/system:serviceaccount:shop:puller"},
		{"workload identity without a scheme", wifAudience, wifAudience, number + "clusters/subject/system:serviceaccount:shop:puller"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := podRig()
			fields := exchange(test.audience, g.workload(t, test.tokenAudience, time.Hour))
			answer := g.askSTS(formKind, fields.Encode())
			token := access(t, answer)
			known, ok := g.Token(token)
			if !ok || known.Principal != test.want || known.Service != "sts" || !known.allows(CloudPlatform) {
				t.Errorf("known %+v, %t", known, ok)
			}
			got := cloudtest.Object(t, answer)
			if got["issued_token_type"] != accessTokenType || got["token_type"] != "Bearer" || got["expires_in"] != float64(3599) {
				t.Errorf("answer %s", answer.Body)
			}
			g.wantViolations(t, 0)
			if journal := g.calls.String(); strings.Contains(journal, token) || strings.Contains(journal, fields.Get("subject_token")) {
				t.Error("the journal holds a secret")
			}

			// The same as JSON, in the names of the form or of the API.
			for _, camel := range []bool{false, true} {
				object := map[string]string{}
				for name := range fields {
					value := fields.Get(name)
					if words := strings.Split(name, "_"); camel {
						for i := 1; i < len(words); i++ {
							words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
						}
						name = strings.Join(words, "")
					}
					object[name] = value
				}
				body, err := json.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				if answer := g.askSTS("application/json", string(body)); access(t, answer) == token {
					t.Error("two exchanges got one token")
				}
			}
		})
	}
}

func TestExchangesThatAreRefused(t *testing.T) {
	g := podRig()
	g.AddProvider(func() Provider {
		disabled := WorkloadIdentity("123456789012", "clusters", "disabled")
		disabled.Disabled = true
		return disabled
	}())
	set := func(name, value string) func(url.Values) {
		return func(fields url.Values) { fields.Set(name, value) }
	}
	stranger, err := oidc.NewIssuer(g.Issuer.URL).Token(puller, wifAudience, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	long := g.workload(t, wifAudience, 72*time.Hour)
	tests := []struct {
		name   string
		change func(url.Values)
		code   string
		form   bool
	}{
		{"another grant", set("grant_type", "authorization_code"), "unsupported_grant_type", true},
		{"another requested token", set("requested_token_type", idTokenType), "invalid_request", true},
		{"another subject token", set("subject_token_type", accessTokenType), "invalid_request", true},
		{"no subject token", set("subject_token", ""), "invalid_request", true},
		{"no audience", set("audience", ""), "invalid_request", true},
		{"audience without a number", set("audience", "//iam.googleapis.com/projects/example-project/locations/global/workloadIdentityPools/clusters/providers/main"), "invalid_request", true},
		{"audience with a scheme", set("audience", "https:"+wifAudience), "invalid_request", true},
		{"audience without a provider", set("audience", "identitynamespace:example-project.svc.id.goog"), "invalid_request", true},
		{"no scope", set("scope", ""), "invalid_scope", true},
		{"scopes with a comma", set("scope", CloudPlatform+","+StorageReadOnly), "invalid_scope", true},
		{"unknown field", set("audiences", "x"), "invalid_request", true},
		{"field twice", func(fields url.Values) { fields.Add("audience", gkeAudience) }, "invalid_request", true},

		{"pool that does not exist", set("audience", "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/none/providers/main"), "invalid_target", false},
		{"another cluster", set("audience", gkeAudience+"2"), "invalid_target", false},
		{"disabled provider", set("audience", strings.Replace(wifAudience, "/main", "/disabled", 1)), "invalid_target", false},

		{"another key", set("subject_token", stranger), "invalid_grant", false},
		{"no token at all", set("subject_token", "not.a.token"), "invalid_grant", false},
		{"token for somebody else", set("subject_token", g.workload(t, "https://kubernetes.default.svc", time.Hour)), "invalid_grant", false},
		{"expired token", set("subject_token", g.workload(t, wifAudience, -time.Second)), "invalid_grant", false},
		{"token of three days", set("subject_token", long), "invalid_grant", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g.calls.Reset()
			fields := exchange(wifAudience, g.workload(t, wifAudience, time.Hour))
			test.change(fields)
			answer := g.askSTS(formKind, fields.Encode())
			got := cloudtest.Object(t, answer)
			if answer.Code != 400 || got["error"] != test.code || got["error_description"] == "" || len(got) != 2 {
				t.Errorf("answer %d %s, want %s", answer.Code, answer.Body, test.code)
			}
			if form := len(g.calls.Violations()) == 1; form != test.form {
				t.Errorf("violations %v", g.calls.Violations())
			}
		})
	}
}

func TestTheFormOfAnExchange(t *testing.T) {
	g := podRig()
	body := exchange(wifAudience, g.workload(t, wifAudience, time.Hour)).Encode()
	for name, answer := range map[string]*httptest.ResponseRecorder{
		"authorization": g.askSTS(formKind, body, "Authorization", "Bearer x"),
		"another type":  g.askSTS("text/plain", body),
		"no type":       g.askSTS("", body),
		"not JSON":      g.askSTS("application/json", body),
		"another path":  cloudtest.Send(g.STS(), http.MethodPost, "https://sts.googleapis.com/token", body, "Content-Type", formKind),
		"GET":           cloudtest.Send(g.STS(), http.MethodGet, "https://sts.googleapis.com/v1/token", "", "Content-Type", formKind),
	} {
		if answer.Code == 200 {
			t.Errorf("%s: answered", name)
		}
	}
	g.wantViolations(t, 6)
}

func TestAnExchangeIsJudgedByTheFakesClock(t *testing.T) {
	g := podRig()
	g.Configure(func(s *Settings) { s.Clock = 2 * time.Hour })
	answer := g.askSTS(formKind, exchange(wifAudience, g.workload(t, wifAudience, time.Hour)).Encode())
	if answer.Code != 400 || cloudtest.Object(t, answer)["error"] != "invalid_grant" {
		t.Errorf("answer %d %s", answer.Code, answer.Body)
	}
}
