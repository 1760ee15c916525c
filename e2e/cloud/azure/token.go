package azure

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Audiences of tokens.
const (
	// ACRAudience is whom tokens for registries are for, in every cloud.
	ACRAudience = "https://containerregistry.azure.net"
	// ARMAudience is whom tokens for the management API are for. Registries
	// accept them only where nobody has forbidden it.
	ARMAudience = "https://management.azure.com/"
)

// federationAudience is whom an assertion is for, by the cloud of its tenant.
var federationAudience = map[Cloud]string{
	Public:       "api://AzureADTokenExchange",
	USGovernment: "api://AzureADTokenExchangeUSGov",
	China:        "api://AzureADTokenExchangeChina",
	USNat:        "api://AzureADTokenExchangeUSNat",
	USSec:        "api://AzureADTokenExchangeUSSec",
}

// Token is what the fake knows of an Entra token it issued.
type Token struct {
	Principal Principal
	Service   string // that issued it, under its name in the journal
	Audience  string
	Expires   time.Time

	// Issuer and Subject are what a federated credential knows it by.
	Issuer, Subject string
	// assigned is whether it is of a user-assigned identity.
	assigned bool
}

// tokens is every Entra token that was issued.
type tokens struct {
	mu     sync.Mutex
	issued map[string]Token
}

// Token returns what is known of an Entra token; ok is false for one that the
// fake did not issue.
func (f *Fake) Token(text string) (token Token, ok bool) {
	f.tokens.mu.Lock()
	defer f.tokens.mu.Unlock()
	token, ok = f.tokens.issued[text]
	return token, ok
}

// Issued is how many Entra tokens a service has issued.
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

// issue makes an Entra token in the shape that is asked for. No call gets the
// token of another, unless its service repeats it.
func (f *Fake) issue(settings TokenSettings, token Token) grant {
	issued := time.Unix(f.now().Unix(), 0)
	token.Expires = issued.Add(settings.life(time.Hour))
	token.Issuer = f.issuerOf(token.Principal.Tenant)
	text := newJWT(map[string]any{
		"aud":   token.Audience,
		"iss":   token.Issuer,
		"iat":   issued.Unix(),
		"nbf":   issued.Unix(),
		"exp":   token.Expires.Unix(),
		"appid": token.Principal.ClientID,
		"oid":   token.Subject,
		"sub":   token.Subject,
		"tid":   token.Principal.Tenant,
		"uti":   rand.Text(),
		"ver":   "1.0",
	})
	f.tokens.mu.Lock()
	defer f.tokens.mu.Unlock()
	f.tokens.issued[text] = token
	return grant{text: text, issued: issued, expires: token.Expires, shape: settings.Shape}
}

// issuerOf is a tenant as the issuer of tokens. It names the first authority of
// the tenant's cloud.
func (f *Fake) issuerOf(tenant string) string {
	found, _ := f.directory.tenant(tenant)
	host := "login.microsoftonline.com"
	if hosts := authorities[found.Cloud]; len(hosts) != 0 {
		host = hosts[0]
	}
	return "https://" + host + "/" + tenant + "/v2.0"
}

// knownAudience reports whether Entra issues tokens for an audience. They are
// compared to the letter.
func (f *Fake) knownAudience(audience string) bool {
	if audience == ACRAudience || audience == ARMAudience || slices.Contains(f.current().Resources, audience) {
		return true
	}
	for _, known := range federationAudience {
		if audience == known {
			return true
		}
	}
	return false
}

// life is for how long a token is good.
func (s TokenSettings) life(ordinary time.Duration) time.Duration {
	switch {
	case s.Shape == ExpiresNow:
		return 0
	case s.Shape == ExpiredLong:
		return -time.Hour
	case s.Life != 0:
		return s.Life
	default:
		return ordinary
	}
}

// grant is an issued token on its way into an answer.
type grant struct {
	text            string
	issued, expires time.Time
	shape           TokenShape
}

// fields is the answer of RFC 6749, section 5.1, as Entra has it.
func (g grant) fields(now time.Time) map[string]any {
	left := int(g.expires.Sub(now).Seconds())
	fields := map[string]any{
		"access_token":   g.text,
		"expires_in":     left,
		"ext_expires_in": left,
		"token_type":     "Bearer",
	}
	switch g.shape {
	case NoFields:
		return map[string]any{}
	case EmptyToken:
		fields["access_token"] = ""
	case NoExpiry:
		delete(fields, "expires_in")
		delete(fields, "ext_expires_in")
	}
	return fields
}

// newJWT makes what looks like a signed token. Nobody but who made it needs to
// know it, so its signature is noise.
func newJWT(claims map[string]any) string {
	payload, _ := json.Marshal(claims) // strings and numbers never fail
	return base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"RS256","kid":"fake"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(payload) + "." + randomText(256)
}

// randomText encodes as many random bytes in the characters of a token.
func randomText(size int) string {
	content := make([]byte, size)
	_, _ = rand.Read(content) // never fails: see its documentation
	return base64.RawURLEncoding.EncodeToString(content)
}
