package azure

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// TokenUser is whom a registry's token logs in as.
const TokenUser = "00000000-0000-0000-0000-000000000000"

// ACR is all registries, each at the hosts that it was given. Its operations are
// GetChallenge, Exchange, GetAccessToken and, for any other path, GetOther.
func (f *Fake) ACR() http.Handler {
	return fake.Identified("X-Ms-Correlation-Request-Id", f.Front(&cloud.Service{
		Name:      "acr",
		Operation: acrOperation,
		Answer:    f.answerACR,
		Refuse:    wordACR,
	}))
}

func acrOperation(r *cloud.Request) string {
	switch r.URL.Path {
	case "/v2/":
		return "GetChallenge"
	case "/oauth2/exchange":
		return "Exchange"
	case "/oauth2/token":
		return "GetAccessToken"
	default:
		return "GetOther"
	}
}

func (f *Fake) answerACR(x *cloud.Exchange, r *cloud.Request) error {
	host := strings.TrimSuffix(strings.ToLower(r.Host), ":443")
	registry, ok := f.registries.find(host)
	switch {
	case !ok:
		return fake.RefuseForm(http.StatusNotFound, "NAME_UNKNOWN", "no registry at %s", host)
	case registry.Blocked:
		return fake.Refuse(http.StatusForbidden, "DENIED", "client with IP '192.0.2.77' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.")
	}
	switch operation := acrOperation(r); {
	case operation == "GetChallenge" && r.Method == http.MethodGet:
		return f.answerChallenge(x, r, host, registry)
	case operation == "Exchange" && r.Method == http.MethodPost:
		return f.answerExchange(x, r, host, registry)
	case operation == "GetAccessToken" && r.Method == http.MethodPost:
		return f.answerAccessToken(x, r, host, registry)
	default:
		return fake.RefuseForm(http.StatusNotFound, "NOT_FOUND", "no operation %s %s", r.Method, r.URL.Path)
	}
}

// answerChallenge says where tokens are, unless an access token is shown.
func (f *Fake) answerChallenge(x *cloud.Exchange, r *cloud.Request, host string, registry Registry) error {
	shown, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if credential, ok := f.registries.valid(registry, shown, f.Now()); ok && credential.Repository != "" {
		return fake.AnswerJSON(x, map[string]any{})
	}
	x.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="https://%s/oauth2/token",service="%s"`, host, host))
	return unauthorized("authentication required, visit https://aka.ms/acr/authorization for more information.")
}

// answerExchange makes a refresh token of an Entra token.
func (f *Fake) answerExchange(x *cloud.Exchange, r *cloud.Request, host string, registry Registry) error {
	fields, err := fake.Form(r, "grant_type", "service", "access_token", "tenant")
	switch {
	case err != nil:
		return badForm("%v", err)
	case r.URL.RawQuery != "" && r.URL.RawQuery != "api-version=2021-07-01":
		return badForm("unknown query %q", r.URL.RawQuery)
	case r.Header.Get("Authorization") != "":
		return badForm("the token belongs into the body")
	case fields["grant_type"] != "access_token":
		return badForm("grant_type %q is deprecated or unknown", fields["grant_type"])
	case fields["service"] != host:
		return badForm("service %q is not %q", fields["service"], host)
	}
	if tenant, sent := fields["tenant"]; sent && tenant == "" {
		return badForm("tenant is empty")
	}
	token, ok := f.Token(fields["access_token"])
	if !ok {
		refused := unauthorized("the token was not issued by Entra")
		refused.Form = true
		return refused
	}
	x.Summarize("%s in %s, tenant %q", token.Principal.ClientID, token.Principal.Tenant, fields["tenant"])
	if err := f.checkExchange(fields, token, registry); err != nil {
		return err
	}
	settings := f.Current().ACR.Refresh
	text := f.issueCredential(registry, settings, settings.LifeOr(3*time.Hour), Credential{Host: host, Principal: token.Principal})
	return answerCredential(x, "refresh_token", text, settings.Shape)
}

func (f *Fake) checkExchange(fields map[string]string, token Token, registry Registry) error {
	tenant := fields["tenant"]
	if named, ok := f.directory.tenant(tenant); ok {
		tenant = named.ID
	}
	switch {
	case !f.Now().Before(token.Expires):
		return unauthorized("the token has expired")
	case token.Audience != registry.Audience:
		return unauthorized("the token is for %s", token.Audience)
	case tenant != "" && tenant != token.Principal.Tenant:
		return unauthorized("the token is not of tenant %s", tenant)
	case token.Principal.Tenant != registry.Tenant:
		return unauthorized("Application not registered with AAD")
	case !registry.admits(token.Principal):
		return unauthorized("authentication required, visit https://aka.ms/acr/authorization for more information.")
	default:
		return nil
	}
}

// answerCredential answers a token that has no fields besides.
func answerCredential(x *cloud.Exchange, name, text string, shape fake.TokenShape) error {
	if shape == fake.NoFields {
		return fake.AnswerJSON(x, map[string]any{})
	}
	return fake.AnswerJSON(x, map[string]any{name: text})
}

// issueCredential makes a registry's token. That it is a JWT is all that says
// when it ends.
func (f *Fake) issueCredential(registry Registry, settings fake.TokenSettings, life time.Duration, credential Credential) (text string) {
	issued := time.Unix(f.Now().Unix(), 0)
	credential.Expires = issued.Add(life)
	claims := map[string]any{
		"jti":         fake.GUID(),
		"sub":         credential.Principal.ClientID,
		"nbf":         issued.Unix(),
		"exp":         credential.Expires.Unix(),
		"iat":         issued.Unix(),
		"iss":         "Azure Container Registry",
		"aud":         credential.Host,
		"version":     "1.0",
		"rid":         rid(registry),
		"grant_type":  "refresh_token",
		"appid":       credential.Principal.ClientID,
		"tenant":      credential.Principal.Tenant,
		"permissions": map[string]any{"Actions": []string{"read"}, "NotActions": nil},
		"roles":       []string{},
		// Encoded, this has characters that only the URL-safe alphabet has.
		"padding": "???>>>~~~",
	}
	if credential.Repository != "" {
		claims["grant_type"] = "access_token"
		claims["access"] = []any{map[string]any{"Type": "repository", "Name": credential.Repository, "Actions": []string{"pull"}}}
	}
	switch settings.Shape {
	case fake.EmptyToken:
		return ""
	case fake.NotAToken:
		text = "not-a-token-" + fake.Text(30)
	case fake.NoExpiry:
		delete(claims, "exp")
		text = fake.NoiseJWT(claims)
	default:
		text = fake.NoiseJWT(claims)
	}
	f.registries.remember(registry, text, credential)
	return text
}

func rid(registry Registry) string { return "id-of-" + registry.Hosts[0] }

func unauthorized(format string, arguments ...any) cloud.Refusal {
	return fake.Refuse(http.StatusUnauthorized, "UNAUTHORIZED", format, arguments...)
}

func badForm(format string, arguments ...any) cloud.Refusal {
	return fake.RefuseForm(http.StatusBadRequest, "BAD_REQUEST", format, arguments...)
}

// wordACR words a refusal as the registry API does.
func wordACR(refusal cloud.Refusal) (string, []byte) {
	return fake.WordJSON(map[string]any{"errors": []any{
		map[string]any{"code": refusal.Code, "message": refusal.Message, "detail": nil},
	}})
}
