package gcp

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"
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

// tokens is every access token that was issued.
type tokens struct {
	mu     sync.Mutex
	issued map[string]Token
}

// Token returns what is known of an access token, which is what a registry is
// given as a password; ok is false for one that the fake did not issue.
func (f *Fake) Token(password string) (token Token, ok bool) {
	f.tokens.mu.Lock()
	defer f.tokens.mu.Unlock()
	token, ok = f.tokens.issued[password]
	return token, ok
}

// Issued is how many access tokens a service has issued.
func (f *Fake) Issued(service string) int {
	f.tokens.mu.Lock()
	defer f.tokens.mu.Unlock()
	count := 0
	for _, token := range f.tokens.issued {
		if token.Service == service {
			count++
		}
	}
	return count
}

// issue makes an access token in the shape that is asked for. No call gets the
// token of another, unless its service repeats it.
func (f *Fake) issue(settings TokenSettings, token Token) (issued grant) {
	life := settings.Life
	if life == 0 {
		life = time.Hour
	}
	switch settings.Shape {
	case ExpiresNow:
		life = 0
	case ExpiredLong:
		life = -time.Hour
	}
	size := 160
	if settings.Shape == LongestToken {
		size = 9210
	}
	token.Expires = f.now().Add(life)
	if token.Universe == "" {
		token.Universe = defaultUniverse
	}
	access := "ya29." + randomText(size)
	f.tokens.mu.Lock()
	defer f.tokens.mu.Unlock()
	f.tokens.issued[access] = token
	return grant{access: access, expires: token.Expires, shape: settings.Shape}
}

// randomText encodes as many random bytes in the characters of a token.
func randomText(size int) string {
	content := make([]byte, size)
	_, _ = rand.Read(content) // never fails: see its documentation
	return base64.RawURLEncoding.EncodeToString(content)
}

// grant is an issued token on its way into an answer.
type grant struct {
	access  string
	expires time.Time
	shape   TokenShape
}

// fields is the answer of RFC 6749, section 5.1.
func (g grant) fields(now time.Time) map[string]any {
	fields := map[string]any{
		"access_token": g.access,
		"expires_in":   int(g.expires.Sub(now).Seconds()),
		"token_type":   "Bearer",
	}
	switch g.shape {
	case NoFields:
		return map[string]any{}
	case EmptyToken:
		fields["access_token"] = ""
	case NoExpiry:
		delete(fields, "expires_in")
	}
	return fields
}

// allows reports whether a token can be used for what a scope names.
func (t Token) allows(scope string) bool { return slices.Contains(t.Scopes, scope) }

// wellFormedScope reports whether a scope is one of Google's.
func wellFormedScope(scope string) bool {
	name, ok := strings.CutPrefix(scope, "https://www.googleapis.com/auth/")
	return ok && name != "" && !strings.ContainsAny(name, " ,\"")
}
