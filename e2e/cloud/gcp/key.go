package gcp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"regcred/e2e/cloud/fake"
)

// key is a key of a service account: whoever has it is the account.
type key struct {
	email  string
	public *rsa.PublicKey
}

// AddKey makes a key of a service account and returns the file that it is
// downloaded as.
func (f *Fake) AddKey(email string) (file []byte, err error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("gcp: %w", err)
	}
	content, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("gcp: %w", err)
	}
	digest := sha256.Sum256(content)
	id := hex.EncodeToString(digest[:20])
	f.identities.mu.Lock()
	defer f.identities.mu.Unlock()
	f.identities.keys[id] = key{email: email, public: &private.PublicKey}
	return json.MarshalIndent(map[string]string{
		"type":                        "service_account",
		"project_id":                  "example-project",
		"private_key_id":              id,
		"private_key":                 string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: content})),
		"client_email":                email,
		"client_id":                   "112233445566778899001",
		"auth_uri":                    "https://accounts.google.com/o/oauth2/auth",
		"token_uri":                   tokenEndpoint,
		"auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
		"client_x509_cert_url":        "https://www.googleapis.com/robot/v1/metadata/x509/" + strings.ReplaceAll(email, "@", "%40"),
		"universe_domain":             defaultUniverse,
	}, "", "  ")
}

// assertion is the payload of a signed request for a token. Times are Unix
// seconds.
type assertion struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Scope    string `json:"scope"`
	Audience string `json:"aud"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

// verify checks form and signature of an assertion, RFC 7515, and that its key
// is its issuer's.
func (i *identities) verify(token string) (assertion, error) {
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		return assertion{}, errors.New("not a signed JWT")
	}
	var header struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
		KeyID     string `json:"kid"`
	}
	if err := fake.DecodeSegment(segments[0], &header); err != nil {
		return assertion{}, err
	}
	var claims assertion
	if err := fake.DecodeSegment(segments[1], &claims); err != nil {
		return assertion{}, err
	}
	signer, ok := i.key(header.KeyID)
	if !ok || header.Algorithm != "RS256" || signer.email != claims.Issuer {
		return claims, errors.New("no such key")
	}
	signature, err := base64.RawURLEncoding.DecodeString(segments[2])
	if err != nil {
		return claims, err
	}
	digest := sha256.Sum256([]byte(segments[0] + "." + segments[1]))
	return claims, rsa.VerifyPKCS1v15(signer.public, crypto.SHA256, digest[:], signature)
}
