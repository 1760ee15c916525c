// Package serviceaccount reads what a Kubernetes service account token says of
// its bearer.
//
// Signatures are not checked: the token comes from the kubelet, and the cloud
// that it is sent to verifies it. What is read here only tells identities
// apart, in cache keys and in messages.
package serviceaccount

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"regcred/shared/jwt"
)

// maxToken bounds a token; the API server's own limit for a projected token's
// claims is far below it.
const maxToken = 64 << 10

// Token is a service account token and the claims that identify its bearer.
type Token struct {
	raw string

	Issuer  string
	Subject string
	// Audiences are whom the token is for.
	Audiences []string
	// Namespace, Name and UID are the service account's.
	Namespace string
	Name      string
	UID       string
	// PodName and PodUID are empty for a token that is not bound to a pod.
	PodName string
	PodUID  string
	// Expires is zero for a token that does not say.
	Expires time.Time
}

// Reveal returns the token itself. Its callers are the places to audit.
func (t *Token) Reveal() string { return t.raw }

// String names the bearer: "service account NAMESPACE/NAME".
func (t *Token) String() string { return "service account " + t.Namespace + "/" + t.Name }

// GoString is String, so that no verb prints the token.
func (t *Token) GoString() string { return t.String() }

// Parse reads the claims of a token as the API server issues them.
func Parse(raw string) (*Token, error) {
	if len(raw) > maxToken {
		return nil, errors.New("service account token: longer than 64 KiB")
	}
	var claims struct {
		Issuer     string   `json:"iss"`
		Subject    string   `json:"sub"`
		Audiences  either   `json:"aud"`
		Expiry     jwt.Date `json:"exp"`
		Kubernetes struct {
			Namespace      string `json:"namespace"`
			ServiceAccount struct {
				Name string `json:"name"`
				UID  string `json:"uid"`
			} `json:"serviceaccount"`
			Pod struct {
				Name string `json:"name"`
				UID  string `json:"uid"`
			} `json:"pod"`
		} `json:"kubernetes.io"`
	}
	if err := jwt.Claims(raw, &claims); err != nil {
		return nil, fmt.Errorf("service account token: %w", err)
	}
	t := &Token{
		raw:       raw,
		Issuer:    claims.Issuer,
		Subject:   claims.Subject,
		Audiences: claims.Audiences,
		Expires:   claims.Expiry.Time(),
		Namespace: claims.Kubernetes.Namespace,
		Name:      claims.Kubernetes.ServiceAccount.Name,
		UID:       claims.Kubernetes.ServiceAccount.UID,
		PodName:   claims.Kubernetes.Pod.Name,
		PodUID:    claims.Kubernetes.Pod.UID,
	}
	if t.Issuer == "" || t.Namespace == "" || t.Name == "" || t.UID == "" {
		return nil, errors.New("service account token: no issuer, or no namespace, name or uid of the service account")
	}
	if t.Subject != "system:serviceaccount:"+t.Namespace+":"+t.Name {
		return nil, errors.New("service account token: subject of another service account than the one it names")
	}
	return t, nil
}

// either is a list of strings, which a JWT writes as one where there is one
// (RFC 7519, section 4.1.3).
type either []string

// UnmarshalJSON reads a string or a list of them.
func (e *either) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*e = make(either, 1)
		return json.Unmarshal(data, &(*e)[0])
	}
	return json.Unmarshal(data, (*[]string)(e))
}

// Scope says how much of a token's bearer makes an identity of its own.
type Scope string

const (
	// ScopeServiceAccount lets all pods of a service account share what was
	// obtained for one of them. It is the default: clouds grant rights to
	// service accounts.
	ScopeServiceAccount Scope = "serviceaccount"

	// ScopePod keeps pods apart, for trust rules that name pods.
	ScopePod Scope = "pod"
)

// Identity returns what tells this bearer from every other one in the scope:
// parts of a cache key.
func (t *Token) Identity(scope Scope) []string {
	identity := []string{"serviceaccount", t.Issuer, t.Subject, t.UID}
	if scope == ScopePod {
		identity = append(identity, "pod", t.PodUID)
	}
	return identity
}
