// Package serviceaccount reads what a Kubernetes service account token says of
// its bearer.
//
// Signatures are not checked: the token comes from the kubelet, and the cloud
// that it is sent to verifies it. What is read here only tells identities
// apart, in cache keys and in messages.
package serviceaccount

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/json"
)

// maxToken bounds a token; the API server's own limit for a projected token's
// claims is far below it.
const maxToken = 64 << 10

// Token is a service account token and the claims that identify its bearer.
type Token struct {
	raw string

	Issuer  string
	Subject string
	// Namespace, Name and UID are the service account's.
	Namespace string
	Name      string
	UID       string
	// PodName and PodUID are empty for a token that is not bound to a pod.
	PodName string
	PodUID  string
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
		return nil, fmt.Errorf("service account token: is longer than %d bytes", maxToken)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, errors.New("service account token: is not a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("service account token: payload is not base64url")
	}
	var claims struct {
		Issuer     string `json:"iss"`
		Subject    string `json:"sub"`
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
	if err := json.UnmarshalCaseSensitivePreserveInts(payload, &claims); err != nil {
		return nil, errors.New("service account token: claims are not the JSON of a service account token")
	}
	t := &Token{
		raw:       raw,
		Issuer:    claims.Issuer,
		Subject:   claims.Subject,
		Namespace: claims.Kubernetes.Namespace,
		Name:      claims.Kubernetes.ServiceAccount.Name,
		UID:       claims.Kubernetes.ServiceAccount.UID,
		PodName:   claims.Kubernetes.Pod.Name,
		PodUID:    claims.Kubernetes.Pod.UID,
	}
	if t.Issuer == "" || t.Namespace == "" || t.Name == "" || t.UID == "" {
		return nil, errors.New("service account token: lacks issuer, namespace, name or uid of the service account")
	}
	if t.Subject != "system:serviceaccount:"+t.Namespace+":"+t.Name {
		return nil, errors.New("service account token: subject is not the service account that it names")
	}
	return t, nil
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
