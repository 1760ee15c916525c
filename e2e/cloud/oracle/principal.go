package oracle

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"time"

	"regcred/e2e/cloud/fake"
)

// Principal is who signs with a key: whose it is, and what was decided of it when
// it got the key.
type Principal struct {
	Owner string // OCID, or the service account of a workload

	// Member says whether a dynamic group matched the owner when the security
	// token was made. It stays so for the token's life.
	Member bool

	Realm   string
	Expires time.Time // zero: never

	public *rsa.PublicKey
}

const tokenPrefix = "ST$"

// tokenOf is the security token that the id of a key is.
func tokenOf(keyID string) (token string, ok bool) { return strings.CutPrefix(keyID, tokenPrefix) }

// AddKey makes a key known under an id, as of a user's API key, TENANCY/USER/FINGERPRINT.
func (f *Fake) AddKey(keyID, owner string, public *rsa.PublicKey) {
	f.known.Add(keyID, Principal{Owner: owner, Realm: f.Realm.Key, public: public})
}

// Session makes the security token of a user's session that is bound to a key.
func (f *Fake) Session(owner string, public *rsa.PublicKey, life time.Duration) string {
	return f.grant(fake.TokenSettings{}, life, Principal{Owner: owner, public: public}, nil).Token
}

// grant issues a security token to a principal, which is bound to its key.
func (f *Fake) grant(settings fake.TokenSettings, ordinary time.Duration, p Principal, claims map[string]any) fake.Grant {
	now := f.Now()
	p.Realm, p.Expires = f.Realm.Key, now.Add(settings.LifeOr(ordinary))
	payload := map[string]any{
		"sub": p.Owner, "iss": "authService.oracle.com", "ptype": "instance", "tenant": f.Realm.Tenancy(), "res_tenant": f.Realm.Tenancy(),
		"iat": now.Unix(), "exp": p.Expires.Unix(), "jti": fake.GUID(),
	}
	for name, value := range claims {
		payload[name] = value
	}
	if settings.Shape == fake.NoExpiry {
		delete(payload, "exp")
	}
	token := fake.NoiseJWT(payload)
	if settings.Shape == fake.NotAToken {
		token = fake.Text(200)
	}
	f.known.Add(tokenPrefix+token, p)
	return fake.Grant{Token: token, Issued: now, Expires: p.Expires, Shape: settings.Shape}
}

// findKey returns the key of an id that the fake gave out.
func (f *Fake) findKey(keyID string) (*rsa.PublicKey, error) {
	p, ok := f.known.Find(keyID)
	switch {
	case !ok:
		return nil, notAuthenticated(true, "no such key")
	case !p.Expires.IsZero() && !f.Now().Before(p.Expires):
		return nil, notAuthenticated(false, "")
	case p.Realm != f.Realm.Key:
		return nil, notAuthenticated(true, "a key of another realm")
	default:
		return p.public, nil
	}
}

// parsePublic reads a public key that a token is to be bound to.
func parsePublic(encoded string, bits int) (*rsa.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, invalid("the public key is not base64: %v", err)
	}
	return parseDER(der, bits)
}

func parseDER(der []byte, bits int) (*rsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, invalid("the public key is none: %v", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < bits {
		return nil, invalid("the public key is not of RSA with %d bits", bits)
	}
	return key, nil
}
