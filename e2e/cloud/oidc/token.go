package oidc

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// ServiceAccount is the subject of a token, and what the token is bound to.
type ServiceAccount struct {
	Namespace, Name, UID string
	Pod, PodUID          string // empty: not bound to a pod
	Node, NodeUID        string // empty: does not name a node
}

// Subject is the account as tokens and trust policies name it.
func (s ServiceAccount) Subject() string {
	return "system:serviceaccount:" + s.Namespace + ":" + s.Name
}

// Subjects are service accounts as tokens and trust policies name them.
func Subjects(accounts []ServiceAccount) []string {
	var all []string
	for _, account := range accounts {
		all = append(all, account.Subject())
	}
	return all
}

// Token signs a token as kubelet gets it from an API server. A ttl that is
// not positive makes a token that has expired already.
func (i *Issuer) Token(account ServiceAccount, audience string, ttl time.Duration) (string, error) {
	now := time.Now()
	return i.Sign(Claims{
		Audience: Audience{audience},
		Expires:  now.Add(ttl).Unix(),
		IssuedAt: now.Unix(),
		Issuer:   i.URL,
		ID:       rand.Text(),
		Kubernetes: Kubernetes{
			Namespace:      account.Namespace,
			Node:           object(account.Node, account.NodeUID),
			Pod:            object(account.Pod, account.PodUID),
			ServiceAccount: Object{Name: account.Name, UID: account.UID},
		},
		NotBefore: now.Unix(),
		Subject:   account.Subject(),
	})
}

func object(name, uid string) *Object {
	if name == "" {
		return nil
	}
	return &Object{Name: name, UID: uid}
}

// header is a token's JOSE header. API servers write no "typ".
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

// Sign makes a token of any claims with RS256, RFC 7518 section 3.3.
func (i *Issuer) Sign(claims Claims) (string, error) {
	key, err := i.key()
	if err != nil {
		return "", err
	}
	id, err := keyID(key)
	if err != nil {
		return "", err
	}
	first, err := segment(header{Algorithm: "RS256", KeyID: id})
	if err != nil {
		return "", err
	}
	second, err := segment(claims)
	if err != nil {
		return "", err
	}
	signed := first + "." + second
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("oidc: sign: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// Verify checks form, signature and issuer of a token and returns its claims.
// Whether they convince is for Claims.Check to say.
func (i *Issuer) Verify(token string) (Claims, error) {
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		return Claims{}, fmt.Errorf("oidc: a token has 3 segments, not %d", len(segments))
	}
	var head header
	if err := parseSegment(segments[0], &head); err != nil {
		return Claims{}, fmt.Errorf("oidc: header: %w", err)
	}
	key, err := i.key()
	if err != nil {
		return Claims{}, err
	}
	id, err := keyID(key)
	if err != nil {
		return Claims{}, err
	}
	if head.Algorithm != "RS256" || head.KeyID != id {
		return Claims{}, fmt.Errorf("oidc: no key %q for %q", head.KeyID, head.Algorithm)
	}
	signature, err := base64.RawURLEncoding.DecodeString(segments[2])
	if err != nil {
		return Claims{}, fmt.Errorf("oidc: signature: %w", err)
	}
	digest := sha256.Sum256([]byte(segments[0] + "." + segments[1]))
	if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
		return Claims{}, fmt.Errorf("oidc: signature: %w", err)
	}
	var claims Claims
	if err := parseSegment(segments[1], &claims); err != nil {
		return Claims{}, fmt.Errorf("oidc: claims: %w", err)
	}
	if claims.Issuer != i.URL {
		return Claims{}, fmt.Errorf("oidc: issued by %q, not %q", claims.Issuer, i.URL)
	}
	return claims, nil
}

func segment(value any) (string, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("oidc: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(encoded), nil
}

func parseSegment(encoded string, into any) error {
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	return json.Unmarshal(decoded, into)
}
