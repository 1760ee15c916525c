package aws

import (
	"encoding/base64"
	"time"

	"regcred/e2e/cloud/fake"
)

// passwordBytes makes passwords of the length that real ones have, about two
// and a half thousand characters.
const passwordBytes = 1900

// Token is what the fake knows of a registry password it issued.
type Token struct {
	Principal Principal // who asked for it
	Service   string    // "ecr" or "ecr-public"
	Region    string    // where it was asked for
	Expires   time.Time
}

// Token returns what is known of a registry password; ok is false for one
// that the fake did not issue.
func (f *Fake) Token(password string) (token Token, ok bool) { return f.passwords.Find(password) }

// authorize issues a registry password in the shape the settings ask for. No
// call gets the password of another. ok is false when there is to be none.
func (f *Fake) authorize(caller Principal, e endpoint) (data authorizationData, ok bool) {
	settings := f.Current().Token
	life := settings.Life
	if life == 0 {
		life = 12 * time.Hour
	}
	expires := f.Now().Add(life)
	expiresAt := exponentTime(expires)
	data.ExpiresAt = &expiresAt
	password := fake.Base64(passwordBytes)
	content := "AWS:" + password

	switch settings.Shape {
	case NoData:
		return authorizationData{}, false
	case NoExpiry:
		data.ExpiresAt = nil
	case EmptyToken:
		content = ""
	case NoColon:
		content = password
	case EmptyPassword:
		content = "AWS:"
	}
	data.AuthorizationToken = base64.StdEncoding.EncodeToString([]byte(content))
	f.passwords.Add(password, Token{Principal: caller, Service: e.service, Region: e.region, Expires: expires})
	return data, true
}
