package oracle

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// TokenUser is the user name of whoever logs in with a registry's token.
const TokenUser = "BEARER_TOKEN"

// Token is what the fake knows of a registry's token.
type Token struct {
	Principal Principal
	Host      string // of the registry it is good for
	Expires   time.Time
}

// Registry is a registry and its token service. Its operations are GetToken,
// GetVersion and HeadManifest.
func (f *Fake) Registry() http.Handler {
	return f.front(&cloud.Service{
		Name: "ocir",
		Operation: func(r *cloud.Request) string {
			switch {
			case r.URL.Path == "/v2/":
				return "GetVersion"
			case strings.HasPrefix(r.URL.Path, "/v2/"):
				return "HeadManifest"
			default:
				return "GetToken"
			}
		},
		Answer: f.answerRegistry,
		Refuse: refuse,
	})
}

// TokenPath is where registries give tokens.
const TokenPath = "/20180419/docker/token"

// registryLife is the life of a registry's token.
const registryLife = time.Hour

func (f *Fake) answerRegistry(x *cloud.Exchange, r *cloud.Request) error {
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/v2/" && r.Header.Get("Authorization") == "":
		// What clients ask first, to hear where tokens are.
		x.Header().Set("WWW-Authenticate", `Bearer realm="https://`+r.Host+TokenPath+`",service="`+r.Host+`",scope=""`)
		x.WriteHeader(http.StatusUnauthorized)
		return nil
	case strings.HasPrefix(r.URL.Path, "/v2/"):
		return f.answerManifest(x, r)
	}
	if r.Method != http.MethodGet || r.URL.RequestURI() != TokenPath {
		return fake.RefuseForm(http.StatusNotFound, "NotFound", "no method %s %s", r.Method, r.URL.RequestURI())
	}
	keyID, err := f.verify(r, true, f.findKey)
	if err != nil {
		return err
	}
	// Whoever is known gets a token, with or without a right.
	p, _ := f.known.Find(keyID)
	x.Summarize("%s", p)
	settings := f.Current().Registry
	life := settings.LifeOr(registryLife)
	token := fake.NoiseJWT(map[string]any{"sub": p.Owner, "jti": fake.GUID()})
	f.issued.Add(token, Token{Principal: p, Host: r.Host, Expires: f.Now().Add(life)})
	if settings.Shape == fake.NotAToken {
		token = "not a token\n"
	}
	answer := map[string]any{"token": token, "access_token": token, "scope": "", "expires_in": int(life.Seconds())}
	settings.Shape.Apply(answer, "access_token")
	return fake.AnswerJSON(x, settings.Shape.Apply(answer, "token", "expires_in"))
}

var manifestPath = regexp.MustCompile(`^/v2/([a-z0-9._/-]+)/manifests/[A-Za-z0-9._:-]+$`)

// answerManifest answers as to a repository without a manifest of that tag.
func (f *Fake) answerManifest(x *cloud.Exchange, r *cloud.Request) error {
	path := manifestPath.FindStringSubmatch(r.URL.Path)
	if path == nil || r.Method != http.MethodHead || r.Header.Get("Accept") == "" {
		return fake.RefuseForm(http.StatusNotFound, "NAME_INVALID", "no method %s %s", r.Method, r.URL.Path)
	}
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return fake.RefuseForm(http.StatusUnauthorized, "UNAUTHORIZED", "no token")
	}
	token, err := f.find(r.Host, shown)
	if err != nil {
		return fake.RefuseForm(http.StatusUnauthorized, "UNAUTHORIZED", "%v", err)
	}
	x.Summarize("%s by %s", path[1], token.Principal)
	if !f.allowed(token.Principal) {
		return fake.Refuse(http.StatusForbidden, "DENIED", "repository %s not found or access denied", path[1])
	}
	x.WriteHeader(http.StatusNotFound)
	return nil
}

// find returns what is known of a token that a registry is shown.
func (f *Fake) find(host, password string) (Token, error) {
	token, ok := f.issued.Find(password)
	switch {
	case !ok:
		return Token{}, errors.New("oracle: not a token of a registry's")
	case !f.Now().Before(token.Expires):
		return Token{}, errors.New("oracle: the token has expired")
	case token.Host != host:
		return Token{}, fmt.Errorf("oracle: a token of %s, at %s", token.Host, host)
	}
	return token, nil
}

// Login returns whose token it is that somebody logs in with at a registry.
func (f *Fake) Login(host, username, password string) (Principal, error) {
	if username != TokenUser {
		return Principal{}, fmt.Errorf("oracle: the user is %q", username)
	}
	token, err := f.find(host, password)
	return token.Principal, err
}

// Pull reports whether a registry lets somebody pull, and whose token it is.
func (f *Fake) Pull(host, username, password string) (owner string, err error) {
	p, err := f.Login(host, username, password)
	if err == nil && !f.allowed(p) {
		err = fmt.Errorf("oracle: no policy lets %s read", p)
	}
	return p.Owner, err
}
