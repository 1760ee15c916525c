// Package oidc makes and checks the service account tokens of a cluster. A
// cluster is an OpenID Connect issuer: clouds trust its signature and decide
// by issuer, audience and subject whose a token is.
package oidc

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"sync"
)

// Issuer signs the tokens of one cluster, with a key that it makes when it is
// first needed: that takes a good part of a second.
type Issuer struct {
	URL string // the "iss" of its tokens; https, as clouds demand

	key func() (*rsa.PrivateKey, error)
}

// NewIssuer makes an issuer with a new key.
func NewIssuer(url string) *Issuer {
	return &Issuer{URL: url, key: sync.OnceValues(newKey)}
}

// NewCluster makes an issuer with the key that all clusters of this process
// have: most tests take less time than a key does.
func NewCluster(url string) *Issuer {
	return &Issuer{URL: url, key: clusterKey}
}

var clusterKey = sync.OnceValues(newKey)

func newKey() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	return key, nil
}

// KeyPEM is the signing key, for a real API server that is to issue tokens in
// this issuer's name.
func (i *Issuer) KeyPEM() ([]byte, error) {
	key, err := i.key()
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
}

// keyID is computed as an API server does: the hash of the public key.
func keyID(key *rsa.PrivateKey) (string, error) {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", fmt.Errorf("oidc: %w", err)
	}
	hash := sha256.Sum256(public)
	return base64.RawURLEncoding.EncodeToString(hash[:]), nil
}
