package aws

import (
	"encoding/base64"
	"sync"
	"time"
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

// passwords is every registry password that was issued.
type passwords struct {
	mu     sync.Mutex
	issued map[string]Token
}

// Token returns what is known of a registry password; ok is false for one
// that the fake did not issue.
func (f *Fake) Token(password string) (token Token, ok bool) {
	f.passwords.mu.Lock()
	defer f.passwords.mu.Unlock()
	token, ok = f.passwords.issued[password]
	return token, ok
}

// authorize issues a registry password in the shape the settings ask for. No
// call gets the password of another. ok is false when there is to be none.
func (f *Fake) authorize(caller Principal, e endpoint) (data authorizationData, ok bool) {
	settings := f.current().Token
	life := settings.Life
	if life == 0 {
		life = 12 * time.Hour
	}
	expires := f.now().Add(life)
	expiresAt := exponentTime(expires)
	data.ExpiresAt = &expiresAt
	password := randomBase64(passwordBytes)
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
	f.passwords.add(password, Token{Principal: caller, Service: e.service, Region: e.region, Expires: expires})
	return data, true
}

func (p *passwords) add(password string, token Token) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.issued[password] = token
}
