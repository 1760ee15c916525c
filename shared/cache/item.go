package cache

import (
	"time"

	"regcred/shared/credential"
)

// kind is what an entry holds. It keeps a token from being served as a login.
type kind string

const (
	credentials kind = "credential"
	tokens      kind = "token"
)

// item is what the cache keeps: a credential, or a token on the way to one. A
// token has no user name, and a credential no private key.
type item struct {
	username         string
	value            credential.Secret
	privateKey       credential.Secret
	expires, refresh time.Time
	caller           string
}

func itemOfCredential(c credential.Credential) item {
	return item{username: c.Username, value: c.Password, expires: c.Expires, refresh: c.Refresh, caller: c.Caller}
}

func (i item) credential() credential.Credential {
	return credential.Credential{Username: i.username, Password: i.value, Expires: i.expires, Refresh: i.refresh, Caller: i.caller}
}

func itemOfToken(t credential.Token) item {
	return item{value: t.Value, privateKey: t.PrivateKey, expires: t.Expires, refresh: t.Refresh, caller: t.Caller}
}

func (i item) token() credential.Token {
	return credential.Token{Value: i.value, PrivateKey: i.privateKey, Expires: i.expires, Refresh: i.refresh, Caller: i.caller}
}
