package credential

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Token is what a cloud gives on the way to a credential. It is no login: a
// Provider that wants to hand one to the kubelet has to say so with Login.
type Token struct {
	Value Secret

	// PrivateKey goes with the token where the cloud binds one to the other:
	// requests are signed with it. A Getter keeps such a token in memory alone.
	PrivateKey Secret

	// Expires and Refresh are as a Credential's.
	Expires, Refresh time.Time

	// Caller is as a Credential's.
	Caller string
}

// MaxLife bounds what is believed of a token's life: the longest that any
// cloud documents. A time in milliseconds would be thousands of years away.
const MaxLife = 24 * time.Hour

// ErrExpired is the error of a token that has no life left when it comes.
var ErrExpired = errors.New("the answer holds a token that has already expired")

// NewToken checks a token that a cloud answered with and says, by this
// machine's clock, when it expires.
func NewToken(value string, expires time.Time) (Token, error) {
	switch {
	case value == "":
		return Token{}, errors.New("the answer holds no token")
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return Token{}, errors.New("the answer holds a token with characters that no token has")
	case expires.IsZero():
		return Token{}, errors.New("the answer holds a token without an expiry")
	}
	now := time.Now()
	if !expires.After(now) {
		return Token{}, fmt.Errorf("%w, at %s; here it is %s", ErrExpired, expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if latest := now.Add(MaxLife); expires.After(latest) {
		expires = latest
	}
	return Token{Value: NewSecret(value), Expires: expires}, nil
}

// Login is the Source of a token that a registry takes as the password of a
// user name. A Getter keeps the token once, whether it is handed out or used on
// the way.
func Login(username string, token TokenSource) Source { return login{username, token} }

// TokenOf returns what a Login was made of, if the source is one.
func TokenOf(source Source) (username string, token TokenSource, ok bool) {
	l, ok := source.(login)
	return l.username, l.token, ok
}

type login struct {
	username string
	token    TokenSource
}

func (l login) String() string { return l.token.String() }

func (l login) Key() Key { return slices.Concat(Key{"login", l.username}, l.token.Key()) }

func (l login) Fetch(ctx context.Context, getter Getter) (Credential, error) {
	t, err := getter.Token(ctx, l.token)
	if err != nil {
		return Credential{}, err
	}
	return t.Login(l.username), nil
}

// Login is the credential of a user name whose password is the token.
func (t Token) Login(username string) Credential {
	return Credential{Username: username, Password: t.Value, Expires: t.Expires, Refresh: t.Refresh, Caller: t.Caller}
}
