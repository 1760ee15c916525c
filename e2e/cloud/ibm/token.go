package ibm

import (
	"crypto/rand"
	"time"

	"regcred/e2e/cloud/fake"
)

// Token is what the fake knows of an IAM token that it issued.
type Token struct {
	IAMID   string // whose it is
	Service string // that issued it, under its name in the journal
	Expires time.Time
}

// Token returns what is known of an IAM token; ok is false for one that the fake
// did not issue.
func (f *Fake) Token(text string) (token Token, ok bool) { return f.tokens.Find(text) }

// Issued is how many IAM tokens there are.
func (f *Fake) Issued() int { return f.tokens.Count(func(Token) bool { return true }) }

// issue makes an IAM token in the shape that is asked for.
func (f *Fake) issue(settings fake.TokenSettings, iamID, account, service string) fake.Grant {
	issued := time.Unix(f.Now().Unix(), 0)
	expires := issued.Add(settings.LifeOr(time.Hour))
	if account == "" {
		account = HomeAccount
	}
	text := fake.NoiseJWT(map[string]any{
		"iam_id":     iamID,
		"id":         iamID,
		"identifier": iamID[len("iam-"):],
		"realmid":    "iam",
		"sub":        iamID[len("iam-"):],
		"jti":        rand.Text(),
		"account":    map[string]any{"valid": true, "bss": account, "frozen": true},
		"iss":        "https://iam.cloud.ibm.com/identity",
		"iat":        issued.Unix(),
		"exp":        expires.Unix(),
		"scope":      "ibm openid",
		"client_id":  "default",
		"acr":        1,
		"amr":        []string{"pwd"},
	})
	f.tokens.Add(text, Token{IAMID: iamID, Service: service, Expires: expires})
	return fake.Grant{Token: text, Issued: issued, Expires: expires, Shape: settings.Shape}
}

// times adds what metadata services answer of a token's life.
func (f *Fake) machineAnswer(g fake.Grant) map[string]any {
	return g.Shape.Apply(map[string]any{
		"access_token": g.Token,
		"created_at":   g.Issued.UTC().Format(time.RFC3339),
		"expires_at":   g.Expires.UTC().Format(time.RFC3339),
		"expires_in":   int(g.Expires.Sub(f.Now()).Seconds()),
	}, "access_token", "expires_at", "expires_in")
}
