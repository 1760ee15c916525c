package azure

import (
	"crypto/rand"
	"slices"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
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

// Token returns what is known of an Entra token; ok is false for one that the
// fake did not issue.
func (f *Fake) Token(text string) (token Token, ok bool) { return f.tokens.Find(text) }

// Issued is how many Entra tokens a service has issued.
func (f *Fake) Issued(service string) int {
	return f.tokens.Count(func(token Token) bool { return token.Service == service })
}

// issue makes an Entra token in the shape that is asked for. No call gets the
// token of another, unless its service repeats it.
func (f *Fake) issue(settings fake.TokenSettings, token Token) fake.Grant {
	issued := time.Unix(f.Now().Unix(), 0)
	token.Expires = issued.Add(settings.LifeOr(time.Hour))
	token.Issuer = f.issuerOf(token.Principal.Tenant)
	text := fake.NoiseJWT(map[string]any{
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
	f.tokens.Add(text, token)
	return fake.Grant{Token: text, Issued: issued, Expires: token.Expires, Shape: settings.Shape}
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
	if audience == ACRAudience || audience == ARMAudience || slices.Contains(f.Current().Resources, audience) {
		return true
	}
	for _, known := range federationAudience {
		if audience == known {
			return true
		}
	}
	return false
}

// answerToken answers a token as Entra does.
func (f *Fake) answerToken(x *cloud.Exchange, issued fake.Grant) error {
	fields := issued.OAuth(f.Now())
	if life, ok := fields["expires_in"]; ok {
		fields["ext_expires_in"] = life
	}
	return fake.AnswerJSON(x, fields)
}
