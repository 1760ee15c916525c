package ocir

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/oracle/oci-go-sdk/v65/common"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/jwt"
)

// principal is with whose rights a registry's token is asked for: the source of
// a token whose value is the id of a key, and whose private key is that key.
type principal struct {
	credential.TokenSource

	// node says where the principal is known, if that is where the node is.
	// Without it the id of the key says so.
	node *regionInfo

	// local means that the key is read from files and variables, and not copied
	// into the cache.
	local bool

	// grant says which policy lets the principal pull.
	grant string
}

// getter returns one that asks local principals directly.
func (p principal) getter(getter credential.Getter) credential.Getter {
	if p.local {
		return direct{getter}
	}
	return getter
}

// direct is a Getter that keeps nothing.
type direct struct{ credential.Getter }

// Token calls Fetch.
func (d direct) Token(ctx context.Context, source credential.TokenSource) (credential.Token, error) {
	return source.Fetch(ctx, d.Getter)
}

// Renew returns what was refused: the files still say the same.
func (d direct) Renew(_ context.Context, _ credential.TokenSource, refused credential.Token) (credential.Token, error) {
	return refused, nil
}

// key signs requests. Id and private key belong together, so they are taken
// from one token at once.
type key struct {
	id      string
	private *rsa.PrivateKey
}

var _ common.KeyProvider = key{}

// KeyID returns the id.
func (k key) KeyID() (string, error) { return k.id, nil }

// PrivateRSAKey returns the private key.
func (k key) PrivateRSAKey() (*rsa.PrivateKey, error) { return k.private, nil }

// keyOf returns the key that a principal's token is.
func keyOf(token credential.Token) (key, error) {
	private, err := parseKey(token.PrivateKey, "")
	return key{token.Value.Reveal(), private}, err
}

// leastBits is the size of the smallest key that signs: Go refuses others.
const leastBits = 1024

// parseKey reads a private key as PEM. Errors of the SDK may repeat it.
func parseKey(text credential.Secret, passphrase string) (*rsa.PrivateKey, error) {
	private, err := common.PrivateKeyFromBytes([]byte(text.Reveal()), &passphrase)
	switch {
	case err == nil && private.N.BitLen() < leastBits:
		return nil, fmt.Errorf("an RSA key of %d bits, which signs nothing", private.N.BitLen())
	case err == nil:
		return private, nil
	case strings.Contains(text.Reveal(), "ENCRYPTED") && passphrase == "":
		return nil, errors.New("an encrypted private key, and no passphrase")
	case strings.Contains(text.Reveal(), "ENCRYPTED"):
		return nil, errors.New("not a private key in PEM, or of another passphrase than this")
	default:
		return nil, errors.New("not a private RSA key in PEM")
	}
}

// session is a key that a security token will be bound to.
type session struct {
	private *rsa.PrivateKey
	public  []byte // as SubjectPublicKeyInfo in DER
}

// newSession makes a key while others are asked for something, since that takes a
// processor 0.1 s for 2048 bits and more for more. The result waits for it.
func newSession(bits int) func() (session, error) {
	var (
		made session
		err  error
	)
	done := make(chan struct{})
	go func() {
		made, err = makeSession(bits)
		close(done)
	}()
	return func() (session, error) {
		<-done
		return made, err
	}
}

func makeSession(bits int) (session, error) {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return session{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	return session{private, public}, err
}

// tokenPrefix tells a key id that is a security token from others.
const tokenPrefix = "ST$"

// token makes the token of a security token that a service answered with.
func (s session) token(securityToken string, reply cloudhttp.Reply) (credential.Token, error) {
	return newToken(securityToken, encodeKey(s.private), reply)
}

// encodeKey is what keyOf reads.
func encodeKey(private *rsa.PrivateKey) credential.Secret {
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}
	return credential.NewSecret(string(pem.EncodeToMemory(block)))
}

// newToken makes the token of a security token and its key. Reply is where it
// came from, by whose clock it states its end.
func newToken(securityToken string, private credential.Secret, reply cloudhttp.Reply) (credential.Token, error) {
	expires, ok := jwt.Expiry(securityToken)
	if !ok {
		return credential.Token{}, errors.New("the security token is no JWT that expires")
	}
	token, err := credential.NewToken(tokenPrefix+securityToken, reply.OwnTime(expires))
	token.PrivateKey, token.Caller = private, claimsOf(securityToken).caller()
	return token, err
}

// claims are what a security token says of its owner.
type claims struct {
	Subject     string `json:"sub"`
	Type        string `json:"ptype"`
	Tenant      string `json:"tenant"`
	OwnTenant   string `json:"res_tenant"`
	Instance    string `json:"opc-instance"`
	Compartment string `json:"opc-compartment"`
	OpcTenant   string `json:"opc-tenant"`
}

// claimsOf returns what a security token says, or nothing.
func claimsOf(securityToken string) claims {
	var c claims
	if jwt.Claims(securityToken, &c) != nil {
		return claims{}
	}
	return c
}

// tenancy is the OCID of the owner's tenancy.
func (c claims) tenancy() string { return cmp.Or(c.OwnTenant, c.OpcTenant, c.Tenant) }

// caller names the owner, with what policies and groups go by.
func (c claims) caller() string {
	caller := cmp.Or(c.Subject, c.Instance)
	switch {
	case caller != "" && c.Compartment != "":
		caller += " in " + c.Compartment
	case caller != "" && c.tenancy() != "":
		caller += " of " + c.tenancy()
	}
	return cloudhttp.Bounded(caller, 300)
}

// placeOf returns where the owner of a key is known, as far as its id says it:
// the realm is the third part of every OCID.
func placeOf(keyID string) place {
	tenancy, _, _ := strings.Cut(keyID, "/")
	if securityToken, ok := strings.CutPrefix(keyID, tokenPrefix); ok {
		tenancy = claimsOf(securityToken).tenancy()
	}
	parts := strings.Split(tenancy, ".")
	if len(parts) < 4 || parts[0] != "ocid1" || parts[1] != "tenancy" {
		return place{}
	}
	return place{realm: parts[2]}
}
