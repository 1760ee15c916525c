package acr

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/json"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

const (
	// tokenUser goes with a token as the password.
	tokenUser = "00000000-0000-0000-0000-000000000000"

	// longestLife bounds what is believed of a token's life. Those of managed
	// identities live for a day.
	longestLife = 48 * time.Hour

	// shortLife is what a registry token is believed to live that does not
	// say.
	shortLife = 5 * time.Minute

	// freshFor is after how long a registry token is asked for anew: switching
	// a registry to attribute-based access control makes those from before
	// useless.
	freshFor = 30 * time.Minute
)

// errEnded is the error of a token that is past its end when it comes.
var errEnded = errors.New("the answer holds a token that has no life left")

// newCredential makes a credential of a token.
func newCredential(token string, expires time.Time) (credential.Credential, error) {
	switch {
	case token == "":
		return credential.Credential{}, errors.New("the answer holds no token")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return credential.Credential{}, errors.New("the answer holds a token with characters that no token has")
	}
	now := time.Now()
	if !expires.After(now) {
		return credential.Credential{}, fmt.Errorf("%w: it ended at %s, and here it is %s", errEnded, expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if latest := now.Add(longestLife); expires.After(latest) {
		expires = latest
	}
	return credential.Credential{Username: tokenUser, Password: credential.NewSecret(token), Expires: expires}, nil
}

// entraAnswer is what Entra, the metadata service and AKS answer.
type entraAnswer struct {
	AccessToken string `json:"access_token"`
	// ExpiresIn is a number of seconds, and ExpiresOn seconds since 1970. The
	// metadata service writes them as texts.
	ExpiresIn number `json:"expires_in"`
	ExpiresOn number `json:"expires_on"`

	// What Arc's agent says of whom it answers for.
	ClientID   string `json:"client_id"`
	ObjectID   string `json:"object_id"`
	ResourceID string `json:"msi_res_id"`
}

// credential returns the token with the earlier of its two ends. What the
// metadata service remembers of a token's life may be of when it was new.
func (a entraAnswer) credential(date time.Time) (credential.Credential, error) {
	now := time.Now()
	var expires time.Time
	if a.ExpiresIn > 0 {
		expires = now.Add(a.ExpiresIn.seconds())
	}
	if a.ExpiresOn > 0 {
		on := byOwnClock(time.Unix(int64(a.ExpiresOn), 0), date, now)
		if expires.IsZero() || on.Before(expires) {
			expires = on
		}
	}
	if expires.IsZero() {
		return credential.Credential{}, errors.New("the answer holds a token that does not say how much life it has")
	}
	return newCredential(a.AccessToken, expires)
}

// registryToken makes the credential of a registry token, which has its end in
// itself alone.
func registryToken(token string, date time.Time) (credential.Credential, error) {
	now := time.Now()
	expires := now.Add(shortLife)
	if exp, ok := expiryOf(token); ok {
		expires = byOwnClock(exp, date, now)
	}
	c, err := newCredential(token, expires)
	c.Refresh = now.Add(freshFor)
	return c, err
}

// expiryOf returns what a JWT says of its end. Its signature is the registry's
// to check, not ours.
func expiryOf(token string) (time.Time, bool) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, found := strings.Cut(rest, ".")
	if !found {
		return time.Time{}, false
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return time.Time{}, false
	}
	var c struct {
		Expires number `json:"exp"`
	}
	if json.UnmarshalCaseSensitivePreserveInts(claims, &c) != nil || c.Expires <= 0 {
		return time.Time{}, false
	}
	return time.Unix(int64(c.Expires), 0), true
}

// byOwnClock translates a server's time into this node's, if the server says
// what time it is there.
func byOwnClock(t, date, now time.Time) time.Time {
	if date.IsZero() {
		return t
	}
	return cloudhttp.ByOwnClock(t, date, now)
}

// number is a whole number that may be written as a text. What is neither is
// zero. It is never more than a time can be.
type number int64

const largestNumber = number(math.MaxInt64 / int64(time.Second) / 2)

// UnmarshalJSON reads a number or the text of one.
func (n *number) UnmarshalJSON(data []byte) error {
	text := string(bytes.Trim(data, `"`))
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(f) || f < 0:
		*n = 0
	case f > float64(largestNumber):
		*n = largestNumber
	default:
		*n = number(f)
	}
	return nil
}

func (n number) seconds() time.Duration { return time.Duration(n) * time.Second }
