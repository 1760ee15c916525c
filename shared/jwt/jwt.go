// Package jwt reads what a JSON Web Token (RFC 7519) says of itself.
//
// Signatures are not checked: whoever a token is sent to verifies it. What is
// read here tells identities apart, names them in messages, and bounds for how
// long a token is kept.
package jwt

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"sigs.k8s.io/json"
)

// Claims decodes the payload of a token into a struct. Names of claims are
// compared case-sensitively. No error repeats what is in the token.
func Claims(token string, into any) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("not a JWT")
	}
	// RFC 7515 forbids padding, and some issuers write it.
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return errors.New("payload not in base64url")
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(payload, into); err != nil {
		return errors.New("claims not in the expected form")
	}
	return nil
}

// Expiry returns the claim "exp" of a token, and whether there is one.
func Expiry(token string) (time.Time, bool) {
	var claims struct {
		Expiry Date `json:"exp"`
	}
	if Claims(token, &claims) != nil {
		return time.Time{}, false
	}
	end := claims.Expiry.Time()
	return end, !end.IsZero()
}

// Date is a NumericDate (RFC 7519, section 2): seconds since 1970.
type Date float64

// Time returns the date, or the zero time for what is none.
func (d Date) Time() time.Time {
	// Beyond this a time has no date that can be written.
	const latest = 1 << 40
	if d <= 0 || d > latest {
		return time.Time{}
	}
	return time.Unix(int64(d), 0)
}
