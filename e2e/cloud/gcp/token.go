package gcp

import (
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud/fake"
)

// Scopes that access tokens have. Registries ask for one that begins like
// either of the first two.
const (
	CloudPlatform   = "https://www.googleapis.com/auth/cloud-platform"
	StorageReadOnly = "https://www.googleapis.com/auth/devstorage.read_only"
	LoggingWrite    = "https://www.googleapis.com/auth/logging.write"
)

// Token is what the fake knows of an access token it issued.
type Token struct {
	Principal Principal
	Service   string // that issued it, under its name in the journal
	Scopes    []string
	Universe  string // whose services accept it
	Expires   time.Time
}

// Token returns what is known of an access token, which is what a registry is
// given as a password; ok is false for one that the fake did not issue.
func (f *Fake) Token(password string) (token Token, ok bool) { return f.tokens.Find(password) }

// Issued is how many access tokens a service has issued.
func (f *Fake) Issued(service string) int {
	return f.tokens.Count(func(token Token) bool { return token.Service == service })
}

// issue makes an access token in the shape that is asked for. No call gets the
// token of another, unless its service repeats it.
func (f *Fake) issue(settings fake.TokenSettings, token Token) fake.Grant {
	size := 160
	if settings.Shape == fake.LongestToken {
		size = 9210 // 12 KiB when encoded, the most that STS documents
	}
	now := f.Now()
	token.Expires = now.Add(settings.LifeOr(time.Hour))
	if token.Universe == "" {
		token.Universe = defaultUniverse
	}
	access := "ya29." + fake.Text(size)
	f.tokens.Add(access, token)
	return fake.Grant{Token: access, Issued: now, Expires: token.Expires, Shape: settings.Shape}
}

// allows reports whether a token can be used for what a scope names.
func (t Token) allows(scope string) bool { return slices.Contains(t.Scopes, scope) }

// wellFormedScope reports whether a scope is one of Google's.
func wellFormedScope(scope string) bool {
	name, ok := strings.CutPrefix(scope, "https://www.googleapis.com/auth/")
	return ok && name != "" && !strings.ContainsAny(name, " ,\"")
}
