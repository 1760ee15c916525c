package oracle

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
)

// machine is the identity of the node's instance: a certificate of the realm's
// authority, which names the instance, its compartment and its tenancy.
type machine struct {
	instance, compartment string
	keyPEM                []byte
	leaf, intermediate    *x509.Certificate
	roots                 *x509.CertPool
}

// newMachine makes an instance with a chain of three certificates, of which it
// has two.
func newMachine(realm Realm) (machine, error) {
	m := machine{
		instance:    "ocid1.instance." + realm.Key + "." + strings.ToLower(realm.RegionKey) + ".anuwexampleinstance",
		compartment: "ocid1.compartment." + realm.Key + "..aaaaaaaaexamplecompartment",
	}
	root, rootKey, err := newAuthority("Oracle root", nil, nil)
	if err != nil {
		return machine{}, err
	}
	intermediate, intermediateKey, err := newAuthority("PKISVC Identity Intermediate", root, rootKey)
	if err != nil {
		return machine{}, err
	}
	key, err := instanceKey()
	if err != nil {
		return machine{}, fmt.Errorf("oracle: %w", err)
	}
	template := validFor(24 * time.Hour)
	unit := asn1.ObjectIdentifier{2, 5, 4, 11}
	for _, value := range []string{"opc-certtype:instance", "opc-compartment:" + m.compartment, "opc-instance:" + m.instance, "opc-tenant:" + realm.Tenancy()} {
		template.Subject.ExtraNames = append(template.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: unit, Value: value})
	}
	template.Subject.CommonName = m.instance
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, intermediate, key.Public(), intermediateKey)
	if err != nil {
		return machine{}, fmt.Errorf("oracle: %w", err)
	}
	if m.leaf, err = x509.ParseCertificate(der); err != nil {
		return machine{}, fmt.Errorf("oracle: %w", err)
	}
	m.keyPEM = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	m.intermediate = intermediate
	m.roots = x509.NewCertPool()
	m.roots.AddCert(root)
	return m, nil
}

// instanceKey is the key that all instances of this process have: most tests take
// less time than a key does.
var instanceKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// newAuthority makes an authority that another one vouches for, or itself.
func newAuthority(name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("oracle: %w", err)
	}
	template := validFor(365 * 24 * time.Hour)
	template.Subject.CommonName = name
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, fmt.Errorf("oracle: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("oracle: %w", err)
	}
	return certificate, key, nil
}

func validFor(life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100)) // never fails
	return &x509.Certificate{SerialNumber: serial, NotBefore: time.Now().Add(-life), NotAfter: time.Now().Add(life)}
}

// attribute is what a certificate's subject says under a name, or empty.
func attribute(c *x509.Certificate, name string) string {
	for _, a := range c.Subject.Names {
		if value, ok := a.Value.(string); ok && strings.HasPrefix(value, name+":") {
			return strings.TrimPrefix(value, name+":")
		}
	}
	return ""
}

// keyIDs are both forms of the id under which a certificate's key is known to the
// federation service.
func keyIDs(tenancy string, c *x509.Certificate) (bySHA1, bySHA256 string) {
	colons := func(sum []byte) string { return strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":") }
	first, second := sha1.Sum(c.Raw), sha256.Sum256(c.Raw)
	return tenancy + "/fed-x509/" + colons(first[:]), tenancy + "/fed-x509-sha256/" + colons(second[:])
}
