package oracle

import (
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/fake"
)

const registryHost = "iad.ocir.io"

// registryToken asks a registry for a token with a security token.
func (g rig) registryToken(securityToken string, key *rsa.PrivateKey) *httptest.ResponseRecorder {
	return ask(g.Registry(), g.signed(http.MethodGet, "https://"+registryHost+TokenPath, "", tokenPrefix+securityToken, key, true))
}

func (g rig) password(answer *httptest.ResponseRecorder) string {
	g.t.Helper()
	var token struct{ Token string }
	if err := json.Unmarshal(answer.Body.Bytes(), &token); err != nil || answer.Code != 200 {
		g.t.Fatalf("%v: %d %s", err, answer.Code, answer.Body)
	}
	return token.Token
}

func TestARegistryRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		request func(g rig, securityToken string, key *rsa.PrivateKey) *http.Request
		form    bool
	}{
		"no signature": {func(rig, string, *rsa.PrivateKey) *http.Request {
			return httptest.NewRequest(http.MethodGet, "https://"+registryHost+TokenPath, nil)
		}, true},
		"another key": {func(g rig, securityToken string, _ *rsa.PrivateKey) *http.Request {
			return g.signed(http.MethodGet, "https://"+registryHost+TokenPath, "", tokenPrefix+securityToken, newKey(t, 2048), true)
		}, true},
		"a made-up token": {func(g rig, securityToken string, key *rsa.PrivateKey) *http.Request {
			return g.signed(http.MethodGet, "https://"+registryHost+TokenPath, "", tokenPrefix+securityToken+"x", key, true)
		}, true},
		"a host that is not signed": {func(g rig, securityToken string, key *rsa.PrivateKey) *http.Request {
			return g.signed(http.MethodGet, "https://"+registryHost+TokenPath, "", tokenPrefix+securityToken, key, false)
		}, true},
		"a signature for another host": {func(g rig, securityToken string, key *rsa.PrivateKey) *http.Request {
			r := g.signed(http.MethodGet, "https://fra.ocir.io"+TokenPath, "", tokenPrefix+securityToken, key, true)
			r.Host = registryHost
			return r
		}, true},
		"a signature for another path": {func(g rig, securityToken string, key *rsa.PrivateKey) *http.Request {
			signed := g.signed(http.MethodGet, "https://"+registryHost+TokenPath+"?service=x", "", tokenPrefix+securityToken, key, true)
			r := httptest.NewRequest(http.MethodGet, "https://"+registryHost+TokenPath, nil)
			r.Header = signed.Header
			return r
		}, true},
		"an expired token": {func(g rig, securityToken string, key *rsa.PrivateKey) *http.Request {
			g.Configure(func(s *Settings) { s.Clock = securityLife + time.Second })
			return g.signed(http.MethodGet, "https://"+registryHost+TokenPath, "", tokenPrefix+securityToken, key, true)
		}, false},
		"an old date": {func(g rig, securityToken string, key *rsa.PrivateKey) *http.Request {
			r := g.signed(http.MethodGet, "https://"+registryHost+TokenPath, "", tokenPrefix+securityToken, key, true)
			g.Configure(func(s *Settings) { s.Clock = signatureWindow + 2*time.Second })
			return r
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g, key := newRig(t), newKey(t, 2048)
			answer := ask(g.Registry(), test.request(g, g.federate(key), key))
			if answer.Code != 401 || !strings.Contains(answer.Body.String(), `"code":"NotAuthenticated"`) || answer.Header().Get("Opc-Request-Id") == "" {
				t.Errorf("%d %v %s", answer.Code, answer.Header(), answer.Body)
			}
			g.wantViolations(map[bool]int{true: 1}[test.form])
		})
	}
}

// What a dynamic group matches is decided when the security token is made.
func TestADynamicGroupHasNoEffectOnTokensThatAreThere(t *testing.T) {
	g, key := newRig(t), newKey(t, 2048)
	g.Match(false)
	before := g.federate(key)
	g.Match(true)
	early := g.password(g.registryToken(before, key))
	if owner, err := g.Pull(registryHost, TokenUser, early); err == nil {
		t.Errorf("%s pulls", owner)
	}
	probe := func(password string) int {
		r := httptest.NewRequest(http.MethodHead, "https://"+registryHost+"/v2/ns/app/manifests/latest", nil)
		r.Header.Set("Authorization", "Bearer "+password)
		r.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
		return ask(g.Registry(), r).Code
	}
	if status := probe(early); status != 403 {
		t.Errorf("status %d", status)
	}
	after := g.password(g.registryToken(g.federate(key), key))
	if owner, err := g.Pull(registryHost, TokenUser, after); err != nil || owner != g.Instance() {
		t.Errorf("%s, %v", owner, err)
	}
	if status := probe(after); status != 404 {
		t.Errorf("status %d", status)
	}
	for _, host := range []string{"fra.ocir.io", "us-ashburn-1.ocir.io"} {
		if _, err := g.Login(host, TokenUser, after); err == nil {
			t.Errorf("good at %s, too", host)
		}
	}
	g.wantViolations(0)
}

func TestTheShapesOfAnAnswer(t *testing.T) {
	for shape, want := range map[fake.TokenShape]string{
		fake.NoFields: "{}\n", fake.EmptyToken: `"token":""`, fake.ExpiresNow: `"expires_in":0`, fake.ExpiredLong: `"expires_in":-3600`,
	} {
		g, key := newRig(t), newKey(t, 2048)
		g.Configure(func(s *Settings) { s.Registry.Shape = shape })
		if answer := g.registryToken(g.federate(key), key); answer.Code != 200 || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("shape %d: %d %s", shape, answer.Code, answer.Body)
		}
	}
}
