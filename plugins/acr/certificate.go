package acr

import (
	"bytes"
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
	"net/url"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/file"
)

// certificateAuth is a certificate, by whose key a statement is signed that the
// bearer is the application.
type certificateAuth struct {
	// file is named by setting.
	file, setting string

	// passwordFile, or else password, is set by passwordSetting.
	passwordFile, passwordSetting string
	password                      credential.Secret
}

func (a certificateAuth) key() []string {
	key := []string{clientCertificate, a.file, a.passwordFile}
	if !a.password.Empty() {
		key = append(key, a.passwordSetting)
	}
	return key
}

func (a certificateAuth) as(application string) string {
	return application + " with the certificate in " + a.file
}

func (a certificateAuth) add(form url.Values, endpoint string) *credential.Failure {
	const what = "the application's certificate"
	text, err := file.Read(a.file)
	if err != nil {
		return file.Failure(what, a.setting, file.Unread, fmt.Errorf("%w: %s", err, a.file))
	}
	password := a.password
	if a.passwordFile != "" {
		if password, err = file.ReadSecret(a.passwordFile); err != nil {
			return file.Failure("the PFX's password", a.passwordSetting, file.Unread, err)
		}
	}
	c, err := parseCertificate(text, password)
	if errors.Is(err, errPassword) {
		return file.Failure(what, a.setting, file.Unfit, a.errPassword(password))
	}
	if err != nil {
		return file.Failure(what, a.setting, file.Unfit, fmt.Errorf("%w: %s", err, a.file))
	}
	assertion, err := c.assertion(form.Get("client_id"), endpoint, time.Now())
	if err != nil {
		return file.Failure(what, a.setting, file.Unfit, fmt.Errorf("%w: %s", err, a.file))
	}
	addAssertion(form, assertion)
	return nil
}

func (a certificateAuth) diagnose(code, _ string) (cloudhttp.Diagnosis, bool) {
	switch code {
	case "AADSTS700027":
		return diagnosis("the certificate in "+a.file+" has expired, or is not one of the application's", "add the current one to the application")
	case "AADSTS700024":
		return diagnosis("what was signed with the certificate in "+a.file+" is not valid at Entra's time", "check the node's clock")
	}
	return cloudhttp.Diagnosis{}, false
}

// errPassword says which password does not open the file.
func (a certificateAuth) errPassword(password credential.Secret) error {
	switch {
	case password.Empty():
		return fmt.Errorf("%w, see %s: %s", errPassword, a.passwordSetting, a.file)
	case a.passwordFile != "":
		return fmt.Errorf("%w, and not that in %s (%s): %s", errPassword, a.passwordFile, a.passwordSetting, a.file)
	default:
		return fmt.Errorf("%w, and not %s: %s", errPassword, a.passwordSetting, a.file)
	}
}

// errPassword is the error of a PFX that the password does not open.
var errPassword = errors.New("the PFX has a password")

// certificate is an application's certificate with its private key and those
// that stand between it and its authority.
type certificate struct {
	leaf          *x509.Certificate
	intermediates []*x509.Certificate
	key           *rsa.PrivateKey
}

// parseCertificate reads PEM, or else PFX. Errors do not repeat what is in it.
func parseCertificate(text []byte, password credential.Secret) (certificate, error) {
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		return parsePEM(text)
	}
	key, leaf, intermediates, err := pkcs12.DecodeChain(text, password.Reveal())
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword) || errors.Is(err, pkcs12.ErrDecryption):
		return certificate{}, errPassword
	case err != nil:
		return certificate{}, errors.New("the file is neither PEM nor a PFX of one key and its certificates")
	}
	return newCertificate(key, append([]*x509.Certificate{leaf}, intermediates...))
}

func parsePEM(text []byte) (certificate, error) {
	var key any
	var certificates []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return certificate{}, errors.New("the file holds a certificate that cannot be read")
			}
			certificates = append(certificates, c)
		case "EC PRIVATE KEY":
			return certificate{}, errNotRSA
		case "PRIVATE KEY", "RSA PRIVATE KEY":
			if key != nil {
				return certificate{}, errors.New("the file holds more than one private key")
			}
			var err error
			if block.Headers["DEK-Info"] != "" {
				return certificate{}, errEncrypted
			}
			if block.Type == "PRIVATE KEY" {
				key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
			} else {
				key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
			}
			if err != nil {
				return certificate{}, errors.New("the file holds a private key that cannot be read")
			}
		case "ENCRYPTED PRIVATE KEY":
			return certificate{}, errEncrypted
		}
	}
	return newCertificate(key, certificates)
}

var (
	errEncrypted = errors.New("the file holds a private key that needs a password; want an RSA key without one, or a PFX")
	errNotRSA    = errors.New("the file holds a private key that is not RSA; want an RSA key without a password")
)

// newCertificate finds the certificate that the key is of. The others are sent
// along as its intermediates.
func newCertificate(key any, all []*x509.Certificate) (certificate, error) {
	if key == nil || len(all) == 0 {
		return certificate{}, errors.New("the file lacks the certificate or the private key")
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return certificate{}, errNotRSA
	}
	c := certificate{key: private}
	for _, one := range all {
		if c.leaf == nil && private.PublicKey.Equal(one.PublicKey) {
			c.leaf = one
		} else {
			c.intermediates = append(c.intermediates, one)
		}
	}
	if c.leaf == nil {
		return certificate{}, errors.New("the private key is of none of the certificates")
	}
	return c, nil
}

// assertion returns the statement that the bearer is the application, signed.
// It has all certificates with it: an application can be set up to accept every
// certificate of a subject that an issuer signed.
func (c certificate) assertion(client, endpoint string, now time.Time) (string, error) {
	if now.After(c.leaf.NotAfter) {
		return "", fmt.Errorf("it expired at %s, by this node's clock", c.leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	thumbprint := sha256.Sum256(c.leaf.Raw)
	chain := [][]byte{c.leaf.Raw}
	for _, one := range c.intermediates {
		chain = append(chain, one.Raw)
	}
	number := make([]byte, 16)
	_, _ = rand.Read(number) // which never fails
	header, err := json.Marshal(struct {
		Algorithm  string   `json:"alg"`
		Type       string   `json:"typ"`
		Thumbprint string   `json:"x5t#S256"`
		Chain      [][]byte `json:"x5c"` // in base64, as JSON has bytes
	}{"PS256", "JWT", base64.RawURLEncoding.EncodeToString(thumbprint[:]), chain})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(struct {
		Audience  string `json:"aud"`
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		ID        string `json:"jti"`
		NotBefore int64  `json:"nbf"`
		IssuedAt  int64  `json:"iat"`
		Expires   int64  `json:"exp"`
	}{endpoint, client, client, hex.EncodeToString(number), now.Unix(), now.Unix(), now.Add(10 * time.Minute).Unix()})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPSS(rand.Reader, c.key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		return "", errors.New("the private key cannot sign")
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
