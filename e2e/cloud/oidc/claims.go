package oidc

import (
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Claims is the payload of a service account token. Times are Unix seconds.
type Claims struct {
	Audience   Audience   `json:"aud"`
	Expires    int64      `json:"exp"`
	IssuedAt   int64      `json:"iat"`
	Issuer     string     `json:"iss"`
	ID         string     `json:"jti"`
	Kubernetes Kubernetes `json:"kubernetes.io"`
	NotBefore  int64      `json:"nbf"`
	Subject    string     `json:"sub"` // system:serviceaccount:NAMESPACE:NAME
}

// Kubernetes says which objects a token is bound to: it dies with them.
type Kubernetes struct {
	Namespace      string  `json:"namespace"`
	Node           *Object `json:"node,omitempty"`
	Pod            *Object `json:"pod,omitempty"`
	ServiceAccount Object  `json:"serviceaccount"`
}

// Object names one API object.
type Object struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// Audience is whom a token is for. API servers write a list; RFC 7519 lets a
// single one be written as a string.
type Audience []string

// UnmarshalJSON reads either form.
func (a *Audience) UnmarshalJSON(content []byte) error {
	var one string
	if json.Unmarshal(content, &one) == nil {
		*a = Audience{one}
		return nil
	}
	return json.Unmarshal(content, (*[]string)(a))
}

// The reasons for which a well-signed token is not accepted.
var (
	ErrExpired  = errors.New("the token has expired")
	ErrEarly    = errors.New("the token is not valid yet")
	ErrAudience = errors.New("the token is for another audience")
)

// Check returns why the claims do not convince an audience at a moment.
func (c Claims) Check(audience string, now time.Time) error {
	switch {
	case !slices.Contains(c.Audience, audience):
		return ErrAudience
	case now.Unix() >= c.Expires:
		return ErrExpired
	case now.Unix() < c.NotBefore:
		return ErrEarly
	default:
		return nil
	}
}
