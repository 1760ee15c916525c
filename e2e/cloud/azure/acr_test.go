package azure

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

const (
	exchangeURL = "https://" + login + "/oauth2/exchange"
	tokenURL    = "https://" + login + "/oauth2/token"
)

// exchange is a request with the machine's token that is granted.
func (g rig) exchange(t *testing.T) url.Values {
	t.Helper()
	return form("grant_type", "access_token", "service", login, "access_token", text(t, g.imds(acrResource), "access_token"), "tenant", HomeTenant)
}

// refreshToken makes the exchange.
func (g rig) refreshToken(t *testing.T) string {
	t.Helper()
	return text(t, post(g.ACR(), exchangeURL, g.exchange(t)), "refresh_token")
}

func TestARegistryChallengesWithItsOwnService(t *testing.T) {
	g := newRig()
	answer := cloudtest.Send(g.ACR(), http.MethodGet, "https://"+login+"/v2/", "")
	g.wantRefusal(t, answer, 401, `"code":"UNAUTHORIZED"`, false)
	if got, want := answer.Header().Get("WWW-Authenticate"), `Bearer realm="https://`+login+`/oauth2/token",service="`+login+`"`; got != want {
		t.Errorf("challenge %s, want %s", got, want)
	}
	if answer.Header().Get("X-Ms-Correlation-Request-Id") == "" {
		t.Error("no correlation id")
	}
}

func TestAnEntraTokenIsExchangedForWhatPulls(t *testing.T) {
	g := newRig()
	for name, form := range map[string]url.Values{
		"with its tenant": g.exchange(t),
		"by its domain":   changed(g.exchange(t), "tenant", "contoso.onmicrosoft.com"),
		"without":         changed(g.exchange(t), "tenant"),
	} {
		t.Run(name, func(t *testing.T) {
			token := text(t, post(g.ACR(), exchangeURL, form), "refresh_token")
			known, ok := g.Credential(token)
			if !ok || known.Host != login || known.Principal != (Principal{HomeTenant, system.ClientID}) || known.Repository != "" {
				t.Errorf("known %+v, %t", known, ok)
			}
			if left := time.Until(known.Expires); left < 179*time.Minute || left > 3*time.Hour {
				t.Errorf("%s left", left)
			}
			for _, host := range []string{login, "example.eastus.geo.azurecr.io"} {
				if err := g.Pull(host, TokenUser, token, "team/app"); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
			if g.Pull(login, "user", token, "team/app") == nil {
				t.Error("any user will do")
			}
		})
	}
	g.wantNoViolation(t)
}

func TestExchangesThatAreRefused(t *testing.T) {
	g := newRig()
	good := g.exchange(t)
	arm := text(t, g.imds("resource="+url.QueryEscape(ARMAudience)), "access_token")
	unknown := text(t, g.imds(acrResource+"&client_id="+pull.ClientID), "access_token")
	for _, test := range []struct {
		name, target string
		form         url.Values
		status       int
		says         string
		form2        bool
	}{
		{"deprecated grant", exchangeURL, changed(good, "grant_type", "access_token_refresh_token"), 400, "deprecated", true},
		{"another service", exchangeURL, changed(good, "service", "other.azurecr.io"), 400, "service", true},
		{"an upper-case service", exchangeURL, changed(good, "service", "Example.azurecr.io"), 400, "service", true},
		{"an unknown field", exchangeURL, changed(good, "refresh_token", "x"), 400, "unknown field", true},
		{"a field twice", exchangeURL, changed(good, "tenant", HomeTenant, HomeTenant), 400, "2 times", true},
		{"an empty tenant", exchangeURL, changed(good, "tenant", ""), 400, "empty", true},
		{"a token of nobody's", exchangeURL, changed(good, "access_token", "eyJ"), 401, "UNAUTHORIZED", true},
		{"a query", exchangeURL + "?x=1", good, 400, "query", true},
		{"another path", "https://" + login + "/oauth2/exchanges", good, 404, "", true},
		{"another registry", "https://other.azurecr.io/oauth2/exchange", good, 404, "NAME_UNKNOWN", true},
		{"another tenant", exchangeURL, changed(good, "tenant", "11111111-2222-4333-8444-555555555555"), 401, "tenant", false},
		{"a token for the management API", exchangeURL, changed(good, "access_token", arm), 401, "management", false},
		{"no role", exchangeURL, changed(good, "access_token", unknown), 401, "authentication required", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.calls.Reset()
			g.wantRefusal(t, post(g.ACR(), test.target, test.form), test.status, test.says, test.form2)
		})
	}
	g.calls.Reset()
	g.wantRefusal(t, cloudtest.Send(g.ACR(), http.MethodGet, exchangeURL+"?"+good.Encode(), ""), 404, "", true)
}

func TestWhatARegistryRefuses(t *testing.T) {
	allowed := []Role{{Name: AcrPull, Principal: Principal{HomeTenant, system.ClientID}}, {Name: RepositoryReader, Principal: Principal{HomeTenant, system.ClientID}}}
	for _, test := range []struct {
		name     string
		registry Registry
		clock    time.Duration
		status   int
		says     string
	}{
		{"nothing", Registry{Roles: allowed}, 0, 200, ""},
		{"its reader is not its puller", Registry{Roles: allowed[1:]}, 0, 401, "UNAUTHORIZED"},
		{"by repository", Registry{Roles: allowed, ABAC: true}, 0, 200, ""},
		{"its puller is not its reader", Registry{Roles: allowed[:1], ABAC: true}, 0, 401, "UNAUTHORIZED"},
		{"by its network", Registry{Roles: allowed, Blocked: true}, 0, 403, "DENIED"},
		{"other tenants", Registry{Roles: allowed, Tenant: "11111111-2222-4333-8444-555555555555"}, 0, 401, "not registered"},
		{"other audiences", Registry{Roles: allowed, Audience: "https://acr.example"}, 0, 401, "the token is for"},
		{"what has expired", Registry{Roles: allowed}, 25 * time.Hour, 401, "expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig()
			form := g.exchange(t)
			test.registry.Hosts = []string{login}
			g.AddRegistry(test.registry)
			g.Configure(func(s *Settings) { s.Clock = test.clock })
			g.wantRefusal(t, post(g.ACR(), exchangeURL, form), test.status, test.says, false)
		})
	}
}

func TestAnAccessTokenIsForItsRepositoryAlone(t *testing.T) {
	g := newRig()
	refresh := g.refreshToken(t)
	good := form("grant_type", "refresh_token", "service", login, "scope", "repository:team/app:pull", "refresh_token", refresh)
	token := text(t, post(g.ACR(), tokenURL, good), "access_token")
	known, ok := g.Credential(token)
	if left := time.Until(known.Expires); !ok || known.Repository != "team/app" || left < 74*time.Minute || left > 75*time.Minute {
		t.Errorf("known %+v, %t", known, ok)
	}
	for repository, want := range map[string]bool{"team/app": true, "team/other": false, "team/app/base": false} {
		if got := g.Pull(login, TokenUser, token, repository) == nil; got != want {
			t.Errorf("%s can be pulled: %t, want %t", repository, got, want)
		}
		runtime := form("grant_type", "password", "service", login, "scope", "repository:"+repository+":pull",
			"username", TokenUser, "password", token, "client_id", "containerd-client")
		if answer := post(g.ACR(), tokenURL, runtime); answer.Code == 200 != want {
			t.Errorf("a runtime is given a token for %s: %d, want it: %t", repository, answer.Code, want)
		}
	}
	g.wantNoViolation(t)

	for name, wrong := range map[string]url.Values{
		"push":                   changed(good, "scope", "repository:team/app:pull,push"),
		"all":                    changed(good, "scope", "repository:team/app:*"),
		"two":                    changed(good, "scope", "repository:a:pull repository:b:pull"),
		"none":                   changed(good, "scope"),
		"another service":        changed(good, "service", "other.azurecr.io"),
		"no grant":               changed(good, "grant_type"),
		"a token of nobody's":    changed(good, "refresh_token", "x"),
		"with a user":            changed(good, "username", TokenUser),
		"an Entra token in it":   changed(good, "refresh_token", text(t, g.imds(acrResource), "access_token")),
		"an unknown field":       changed(good, "tenant", HomeTenant),
		"the scope twice, apart": changed(good, "scope", "repository:a:pull", "repository:b:pull"),
	} {
		g.calls.Reset()
		if answer := post(g.ACR(), tokenURL, wrong); answer.Code == 200 || len(g.calls.Violations()) != 1 {
			t.Errorf("%s: answer %d, violations %v", name, answer.Code, g.calls.Violations())
		}
	}
	g.calls.Reset()
	g.wantRefusal(t, post(g.ACR(), tokenURL, changed(good, "refresh_token", token)), 401, "authentication required", false)
}

func TestARefreshTokenIsItsRegistrysUntilItsEnd(t *testing.T) {
	g := newRig()
	g.AddRegistry(Registry{Hosts: []string{"other.azurecr.io"}, Roles: []Role{{Name: AcrPull, Principal: Principal{HomeTenant, system.ClientID}}}})
	token := g.refreshToken(t)
	if g.Pull("other.azurecr.io", TokenUser, token, "team/app") == nil {
		t.Error("another registry accepts it")
	}
	for ahead, want := range map[time.Duration]bool{179 * time.Minute: true, 181 * time.Minute: false} {
		g.Configure(func(s *Settings) { s.Clock = ahead })
		if got := g.Pull(login, TokenUser, token, "team/app") == nil; got != want {
			t.Errorf("it pulls after %s: %t, want %t", ahead, got, want)
		}
	}
}

func TestLoginsOfARegistrysOwn(t *testing.T) {
	g := newRig()
	g.AddRegistry(Registry{Hosts: []string{login}, Logins: []Login{{"example", "admin-password", nil}, {"robot", "token-password", []string{"team/app"}}}})
	for _, test := range []struct {
		username, password, repository string
		pulls                          bool
	}{
		{"example", "admin-password", "any", true},
		{"example", "token-password", "any", false},
		{"robot", "token-password", "team/app", true},
		{"robot", "token-password", "any", false},
		{"", "", "any", false},
	} {
		if got := g.Pull(login, test.username, test.password, test.repository) == nil; got != test.pulls {
			t.Errorf("%s pulls %s: %t", test.username, test.repository, got)
		}
	}
}

func TestTheSwitchToPermissionsByRepositoryInvalidatesWhatWasIssued(t *testing.T) {
	g := newRig()
	old := g.refreshToken(t)
	reader := Role{Name: RepositoryReader, Principal: Principal{HomeTenant, system.ClientID}, Repositories: []string{"team/app"}}
	g.AddRegistry(Registry{Hosts: []string{login}, ABAC: true, Roles: []Role{reader}})
	if g.Pull(login, TokenUser, old, "team/app") == nil {
		t.Error("the old token still pulls")
	}
	renewed := g.refreshToken(t)
	for repository, want := range map[string]bool{"team/app": true, "team/other": false} {
		if got := g.Pull(login, TokenUser, renewed, repository) == nil; got != want {
			t.Errorf("%s can be pulled: %t, want %t", repository, got, want)
		}
	}
}

func TestShapesOfRefreshTokens(t *testing.T) {
	for shape, wrong := range map[fake.TokenShape]func(fields map[string]any) bool{
		fake.NoFields:   func(fields map[string]any) bool { return len(fields) != 0 },
		fake.EmptyToken: func(fields map[string]any) bool { return fields["refresh_token"] != "" },
		fake.NotAToken: func(fields map[string]any) bool {
			_, ok := claimsOf(fields)["jti"]
			return ok
		},
		fake.NoExpiry: func(fields map[string]any) bool {
			claims := claimsOf(fields)
			return claims["exp"] != nil || claims["jti"] == nil
		},
		fake.Ordinary: func(fields map[string]any) bool {
			claims := claimsOf(fields)
			return claims["exp"] == nil || claims["aud"] != login || claims["iss"] != "Azure Container Registry"
		},
	} {
		g := newRig()
		g.Configure(func(s *Settings) { s.ACR.Refresh.Shape = shape })
		answer := post(g.ACR(), exchangeURL, g.exchange(t))
		if fields := cloudtest.Object(t, answer); answer.Code != 200 || wrong(fields) {
			t.Errorf("shape %d is %d %v", shape, answer.Code, fields)
		}
	}
}

// claimsOf reads the payload of an answer's token.
func claimsOf(fields map[string]any) map[string]any {
	token, _ := fields["refresh_token"].(string)
	claims := map[string]any{}
	if segments := strings.Split(token, "."); len(segments) == 3 {
		_ = fake.DecodeSegment(segments[1], &claims) // none, then
	}
	return claims
}
