package acr

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"regcred/shared/credential"
)

// service answers requests in a row, and keeps what it was sent.
type service struct {
	t       *testing.T
	answers []answer
	asked   []*http.Request
	forms   []url.Values
}

type answer struct {
	status int
	body   string
	header http.Header
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	form := url.Values{}
	if r.Body != nil {
		text, _ := io.ReadAll(r.Body)
		form, _ = url.ParseQuery(string(text))
	}
	s.asked, s.forms = append(s.asked, r), append(s.forms, form)
	if len(s.asked) > len(s.answers) {
		s.t.Fatalf("asked once too often: %s", r.URL)
	}
	a := s.answers[len(s.asked)-1]
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func (s *service) client() *http.Client { return &http.Client{Transport: s} }

// holding is a Getter that has a token for every Source.
type holding struct{ token string }

func (h holding) Get(context.Context, credential.Source) (credential.Credential, error) {
	return credential.Credential{Username: tokenUser, Password: credential.NewSecret(h.token), Expires: time.Now().Add(time.Hour)}, nil
}

func (h holding) Renew(_ context.Context, _ credential.Source, refused credential.Credential) (credential.Credential, error) {
	return refused, nil
}

func wantForm(t *testing.T, got url.Values, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if len(got[name]) != 1 || got.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("sent %q", got)
	}
}

const entraBody = `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"entra-token"}`

func TestTheMetadataService(t *testing.T) {
	s := &service{t: t, answers: []answer{{200, `{"access_token":"imds-token","refresh_token":"","expires_in":"3599","expires_on":"4000000000","resource":"x","token_type":"Bearer"}`, nil}}}
	identity := &managedIdentity{selector: selector{"msi_res_id", "/subscriptions/s/resourceGroups/g&h"}, audience: defaultAudience}
	c, err := identity.fetch(t.Context(), s.client())
	if err != nil || c.Password.Reveal() != "imds-token" || (time.Until(c.Expires)-3599*time.Second).Abs() > 5*time.Second {
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
		proof proof
		want  map[string]string
	}{
		"a secret in a file":      {secretProof{file: file}, map[string]string{"client_secret": "the-secret"}},
		"a secret in azure.json":  {secretProof{azureConfig: "/azure.json", secret: credential.NewSecret("other")}, map[string]string{"client_secret": "other"}},
		"a token in a file":       {tokenFileProof{file: file}, map[string]string{"client_assertion": "the-secret", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}},
		"a managed identity":      {managedProof{&managedIdentity{audience: "api://AzureADTokenExchange"}}, map[string]string{"client_assertion": "held", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}},
		"a pod's service account": {podProof{pod: testPod(t)}, map[string]string{"client_assertion": testPod(t).Reveal(), "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{t: t, answers: []answer{{200, entraBody, nil}}}
			app := &application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, proof: tc.proof}
			c, err := app.fetch(t.Context(), holding{"held"}, s.client())
			if err != nil || c.Password.Reveal() != "entra-token" || (time.Until(c.Expires)-3599*time.Second).Abs() > 5*time.Second {
				t.Fatalf("got %+v, %v", c, err)
			}
			if r := s.asked[0]; r.Method != http.MethodPost || r.URL.String() != "https://login.test/"+tenant+"/oauth2/v2.0/token" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("asked %s %s with %v", r.Method, r.URL, r.Header)
			}
			want := map[string]string{"grant_type": "client_credentials", "client_id": client, "scope": "https://containerregistry.azure.net/.default"}
			for name, value := range tc.want {
				want[name] = value
			}
			wantForm(t, s.forms[0], want)
		})
	}
}

// Certificate authorities that can not be read are the node's mistake.
func TestCertificateAuthoritiesThatAreNotThere(t *testing.T) {
	const file = "/absent/ca.crt"
	refresh := &refreshToken{server: "a.azurecr.io", entra: &managedIdentity{audience: defaultAudience}, caFile: file}
	for _, source := range []credential.Source{
		refresh, &accessToken{repository: "app", refresh: refresh},
		&application{authority: "login.test", tenant: tenant, client: client, audience: defaultAudience, caFile: file, proof: secretProof{file: "/s"}},
	} {
		_, err := source.Fetch(t.Context(), holding{"x"})
		failure, ok := errors.AsType[*credential.Failure](err)
		if !ok || !failure.Permanent || !strings.HasPrefix(err.Error(), "credentials: ") || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), ", asking as ") {
			t.Errorf("got %v", err)
		}
	}
}

func TestIdentityBinding(t *testing.T) {
	s := &service{t: t, answers: []answer{{200, entraBody, nil}}}
	binding := &identityBinding{bindings: IdentityBindings{SNIName: "x.ests.aks", APIServerIP: "10.0.0.1"}, client: client, tenant: tenant, audience: defaultAudience, pod: testPod(t)}
	if c, err := binding.fetch(t.Context(), s.client()); err != nil || c.Password.Reveal() != "entra-token" {
		t.Fatalf("got %+v, %v", c, err)
	}
	if r := s.asked[0]; r.Method != http.MethodPost || r.URL.Host != "x.ests.aks" || strings.Trim(r.URL.RequestURI(), "/") != "" || r.URL.Scheme != "https" {
		t.Errorf("asked %s %s", r.Method, r.URL)
	}
	wantForm(t, s.forms[0], map[string]string{
		"grant_type": "client_credentials", "client_id": client, "scope": "https://containerregistry.azure.net/.default",
		"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": testPod(t).Reveal(),
	})
}

func TestExchange(t *testing.T) {
	token := jwt(`{"exp":4000000000}`)
	for name, tc := range map[string]struct {
		tenant string
		want   map[string]string
	}{
		"with a tenant": {tenant, map[string]string{"grant_type": "access_token", "service": "a.azurecr.io", "access_token": "entra-token", "tenant": tenant}},
		"without":       {"", map[string]string{"grant_type": "access_token", "service": "a.azurecr.io", "access_token": "entra-token"}},
	} {
		s := &service{t: t, answers: []answer{{200, `{"refresh_token":"` + token + `"}`, nil}}}
		refresh := &refreshToken{server: "a.azurecr.io", tenant: tc.tenant, entra: &managedIdentity{}}
		c, _, err := refresh.exchange(t.Context(), s.client(), credential.NewSecret("entra-token"))
		if err != nil || c.Password.Reveal() != token || c.Username != tokenUser {
			t.Fatalf("%s: got %+v, %v", name, c, err)
		}
		if r := s.asked[0]; r.Method != http.MethodPost || r.URL.String() != "https://a.azurecr.io/oauth2/exchange" {
			t.Errorf("asked %s %s", r.Method, r.URL)
		}
		wantForm(t, s.forms[0], tc.want)
	}
}

func TestTokensOfARepository(t *testing.T) {
	token := jwt(`{"exp":4000000000}`)
	s := &service{t: t, answers: []answer{{200, `{"access_token":"` + token + `"}`, nil}}}
	access := &accessToken{repository: "team/app", refresh: &refreshToken{server: "a.azurecr.io", entra: &managedIdentity{}}}
	c, err := access.fetch(t.Context(), holding{"refresh-token"}, s.client())
	if err != nil || c.Password.Reveal() != token || c.Username != tokenUser {
		t.Fatalf("got %+v, %v", c, err)
	}
	if r := s.asked[0]; r.Method != http.MethodPost || r.URL.String() != "https://a.azurecr.io/oauth2/token" {
		t.Errorf("asked %s %s", r.Method, r.URL)
	}
	wantForm(t, s.forms[0], map[string]string{"grant_type": "refresh_token", "service": "a.azurecr.io", "scope": "repository:team/app:pull", "refresh_token": "refresh-token"})
}

func TestLogin(t *testing.T) {
	s := &plainLogin{server: "a.azurecr.io", login: Login{Username: "admin", PasswordFile: write(t, "password", "p4ss:word \r\n")}}
	c, err := s.Fetch(t.Context(), nil)
	if err != nil || c.Username != "admin" || c.Password.Reveal() != "p4ss:word " || (time.Until(c.Expires)-5*time.Minute).Abs() > 5*time.Second {
		t.Errorf("got %+v, %v", c, err)
	}
	s.login.PasswordFile = "/absent/password"
	if _, err := s.Fetch(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "credentials: no such file or directory: /absent/password, asking as user admin") {
		t.Errorf("got %v", err)
	}
}

// An answer that ends in the middle is asked for once more.
func TestATruncatedAnswer(t *testing.T) {
	calls := 0
	client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		calls++
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(io.MultiReader(strings.NewReader(`{"acc`), broken{}))}, nil
	})}
	if _, err := (&managedIdentity{audience: "a"}).fetch(t.Context(), client); err == nil || !strings.Contains(err.Error(), "unexpected EOF") || calls != 2 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type getter func(credential.Source) (credential.Credential, error)

func (f getter) Get(_ context.Context, s credential.Source) (credential.Credential, error) {
	return f(s)
}

func (f getter) Renew(context.Context, credential.Source, credential.Credential) (credential.Credential, error) {
	return credential.Credential{}, errors.New("nothing to renew")
}

// An answer of no use is a failure, and what is in it is in no message.
func TestAnswersOfNoUse(t *testing.T) {
	for body, want := range map[string]string{
		`{`:                                     "the answer can not be read",
		`"hunter2hunter2"`:                      "the answer can not be read",
		`{}`:                                    "how much life it has",
		`{"access_token":"hunter2hunter2"}`:     "how much life it has",
		`{"access_token":"","expires_in":3599}`: "the answer holds no token",
		`{"access_token":"hunter2 hunter2","expires_in":3599}`:               "characters that no token has",
		`{"access_token":"hunter2hunter2","expires_in":-1}`:                  "how much life it has",
		`{"access_token":"hunter2hunter2","expires_in":5,"expires_on":"12"}`: "no life left: it ended at 1970-01-01T00:00:12Z",
	} {
		s := &service{t: t, answers: []answer{{200, body, nil}}}
		_, err := (&managedIdentity{audience: "a"}).fetch(t.Context(), s.client())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", body, err)
		}
	}
	for body, want := range map[string]string{
		`{`: "the answer can not be read", `{}`: "the answer holds no token", `{"refresh_token":""}`: "the answer holds no token",
		`{"refresh_token":"` + jwt(`{"exp":12}`) + `"}`: "no life left",
	} {
		s := &service{t: t, answers: []answer{{200, body, nil}}}
		_, _, err := (&refreshToken{server: "a.azurecr.io", entra: &managedIdentity{}}).exchange(t.Context(), s.client(), credential.NewSecret("x"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("%s: got %v", body, err)
		}
	}
}
