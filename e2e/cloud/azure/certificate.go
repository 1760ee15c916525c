package azure

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud/fake"
)

// Certificate proves to be an app: whoever has its key is the app.
type Certificate struct {
	Leaf *x509.Certificate
	Key  *rsa.PrivateKey
}

// certificate is what Entra knows of one.
type certificate struct {
	clientID string
	leaf     *x509.Certificate
}

// AddCertificate makes a certificate of an app.
func (f *Fake) AddCertificate(clientID string) (Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return Certificate{}, fmt.Errorf("azure: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "app"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(365 * 24 * time.Hour),
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Certificate{}, fmt.Errorf("azure: %w", err)
	}
	leaf, err := x509.ParseCertificate(encoded)
	if err != nil {
		return Certificate{}, fmt.Errorf("azure: %w", err)
	}
	f.directory.mu.Lock()
	defer f.directory.mu.Unlock()
	f.directory.certificates[thumbprint(leaf)] = certificate{clientID: clientID, leaf: leaf}
	return Certificate{Leaf: leaf, Key: key}, nil
}

// PEM is the file that certificate and key are in.
func (c Certificate) PEM() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	return slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	), nil
}

// thumbprint is x5t#S256, RFC 7515 section 4.1.8.
func thumbprint(leaf *x509.Certificate) string {
	digest := sha256.Sum256(leaf.Raw)
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

// assertionHeader is the JOSE header of an assertion.
type assertionHeader struct {
	Algorithm  string   `json:"alg"`
	Type       string   `json:"typ"`
	Thumbprint string   `json:"x5t#S256"`
	Chain      []string `json:"x5c"`
}

// assertionClaims is the payload of an assertion, RFC 7523. Times are Unix
// seconds.
type assertionClaims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	ID        string `json:"jti"`
	NotBefore int64  `json:"nbf"`
	Expires   int64  `json:"exp"`
}

// maxAssertionLife is for how long a program says that it is itself.
const maxAssertionLife = 10 * 60

// checkSigned checks an assertion that an app has signed for a token endpoint.
func (f *Fake) checkSigned(token, clientID, endpoint string) error {
	var header assertionHeader
	var claims assertionClaims
	segments := strings.Split(token, ".")
	if len(segments) != 3 || fake.DecodeSegment(segments[0], &header) != nil || fake.DecodeSegment(segments[1], &claims) != nil {
		return wrongAssertion("it is no signed JWT")
	}
	signer, ok := f.directory.certificate(header.Thumbprint)
	now := f.Now().Unix()
	switch {
	case header.Algorithm != "PS256" || header.Type != "JWT":
		return wrongAssertion("algorithm %q and type %q", header.Algorithm, header.Type)
	case !ok || !strings.EqualFold(signer.clientID, clientID):
		return fake.Refuse(401, "invalid_client", "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application.")
	case header.Chain != nil && header.Chain[0] != base64.StdEncoding.EncodeToString(signer.leaf.Raw):
		return wrongAssertion("x5c begins with another certificate")
	case signer.verify(segments) != nil:
		return wrongAssertion("its signature is not valid")
	case claims.Audience != endpoint:
		return wrongAssertion("audience %q is not %q", claims.Audience, endpoint)
	case claims.Issuer != clientID || claims.Subject != clientID:
		return wrongAssertion("issuer %q and subject %q are not the client", claims.Issuer, claims.Subject)
	case claims.NotBefore == 0 || claims.Expires-claims.NotBefore > maxAssertionLife:
		return wrongAssertion("it is good from %d to %d", claims.NotBefore, claims.Expires)
	case now < claims.NotBefore-300 || now >= claims.Expires+300:
		return fake.Refuse(401, "invalid_client", "AADSTS700024: Client assertion is not within its valid time range.")
	case claims.ID == "" || !f.directory.use(clientID+" "+claims.ID):
		return wrongAssertion("its id %q was used before", claims.ID)
	default:
		return nil
	}
}

func wrongAssertion(format string, arguments ...any) error {
	return fake.RefuseForm(401, "invalid_client", "AADSTS50027: JWT token is invalid or malformed: %s.", fmt.Sprintf(format, arguments...))
}

// verify checks a PS256 signature, RFC 7518 section 3.5.
func (c certificate) verify(segments []string) error {
	public, ok := c.leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("no RSA key")
	}
	signature, err := base64.RawURLEncoding.DecodeString(segments[2])
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(segments[0] + "." + segments[1]))
	return rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
}
