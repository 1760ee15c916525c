package ocir

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// instance is the instance principal: the federation service exchanges the
// certificate that the metadata service has for the machine.
//
// The SDK's own way is not taken: it signs by the node's clock, without regard
// for the context, and with clients of its own.
type instance struct {
	endpoints *endpoints
	region    regionInfo
}

// federationFresh is the age up to which a security token is used for another
// registry. Membership of dynamic groups is frozen into it when it is made, so
// an old one would keep a group that was just made from having any effect.
const federationFresh = 5 * time.Minute

func (s *instance) String() string { return "the node's instance principal" }

func (s *instance) Key() credential.Key {
	return credential.Key{"ocir", "instance principal", s.endpoints.metadata, s.endpoints.federation}
}

// Fetch asks the metadata service and then the federation service.
func (s *instance) Fetch(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	place, err := s.region.place(ctx, getter)
	if err != nil {
		return credential.Token{}, err
	}
	made := newSession(2048)
	machine, err := s.certificate(ctx)
	if errors.Is(err, errUnpaired) {
		machine, err = s.certificate(ctx)
	}
	if err != nil {
		return credential.Token{}, err
	}
	session, err := made()
	if err != nil {
		return credential.Token{}, err
	}
	body, err := json.Marshal(map[string]any{
		"certificate":              base64.StdEncoding.EncodeToString(machine.leaf.Raw),
		"publicKey":                base64.StdEncoding.EncodeToString(session.public),
		"intermediateCertificates": machine.intermediates,
		"fingerprintAlgorithm":     "SHA256",
	})
	if err != nil {
		return credential.Token{}, err
	}
	reply := s.endpoints.signed(ctx, cloudhttp.Call{
		Stage:       stageFederation,
		URL:         cmp.Or(s.endpoints.federation, "https://auth."+place.region+"."+place.domain) + "/v1/x509",
		Body:        body,
		ContentType: "application/json",
	}, machine.key, federationHeaders)
	token, err := session.answered(reply)
	if err != nil {
		return credential.Token{}, explainFederation(reply, err, machine.caller())
	}
	token.Caller = machine.caller()
	token.Refresh = time.Now().Add(federationFresh)
	return token, nil
}

// answered reads the security token of an answer.
func (s session) answered(reply cloudhttp.Reply) (credential.Token, error) {
	if !reply.OK() {
		return credential.Token{}, errRefused
	}
	var answer struct {
		Token string `json:"token"`
	}
	if reply.Decode(&answer) != nil {
		return credential.Token{}, cloudhttp.ErrUnreadable
	}
	return s.token(answer.Token, reply)
}

// machine is what the metadata service has of the machine's identity.
type machine struct {
	key           key
	leaf          *x509.Certificate
	intermediates []string // DER in base64
}

// errUnpaired is the error of a certificate and a key that do not belong together,
// as when they are replaced between the answers.
var errUnpaired = errors.New("the instance metadata service's key is another than that of the machine's certificate")

// certificate gets the machine's certificate, its key and the intermediate
// certificate, all at once: each may take the metadata service its time.
func (s *instance) certificate(ctx context.Context) (machine, error) {
	paths := []string{"/identity/cert.pem", "/identity/key.pem", "/identity/intermediate.pem"}
	replies := make([]cloudhttp.Reply, len(paths))
	var group sync.WaitGroup
	for i, path := range paths {
		group.Go(func() { replies[i] = s.endpoints.askMetadata(ctx, path) })
	}
	group.Wait()
	s.endpoints.clients.Metadata().CloseIdleConnections()
	for _, reply := range replies {
		if !reply.OK() {
			return machine{}, explainMetadata(reply)
		}
	}
	m := machine{intermediates: []string{}}
	leaf := decodePEM(replies[0].Body)
	private, err := parseKey(credential.NewSecret(string(replies[1].Body)), "")
	if err != nil {
		return machine{}, explainMetadata(replies[1])
	}
	for _, der := range decodePEM(replies[2].Body) {
		m.intermediates = append(m.intermediates, base64.StdEncoding.EncodeToString(der))
	}
	if len(m.intermediates) == 0 {
		return machine{}, explainMetadata(replies[2])
	}
	if len(leaf) == 0 {
		return machine{}, explainMetadata(replies[0])
	}
	if m.leaf, err = x509.ParseCertificate(leaf[0]); err != nil {
		return machine{}, explainMetadata(replies[0])
	}
	if m.tenancy() == "" {
		return machine{}, errors.New("the machine's certificate names no tenancy (opc-tenant, opc-identity)")
	}
	if !private.PublicKey.Equal(m.leaf.PublicKey) {
		return machine{}, errUnpaired
	}
	m.key = key{m.tenancy() + "/fed-x509-sha256/" + fingerprint(m.leaf), private}
	return m, nil
}

// tenancy is the OCID of the machine's tenancy, which Oracle's authorities write
// under one of two names.
func (m machine) tenancy() string {
	return cmp.Or(m.attribute("opc-tenant"), m.attribute("opc-identity"))
}

// attribute returns what the certificate's subject says under a name.
func (m machine) attribute(name string) string {
	for _, attribute := range m.leaf.Subject.Names {
		if text, ok := attribute.Value.(string); ok {
			if value, found := strings.CutPrefix(text, name+":"); found {
				return value
			}
		}
	}
	return ""
}

// caller names the machine, with what rules of dynamic groups go by.
func (m machine) caller() string {
	return claims{Instance: m.attribute("opc-instance"), Compartment: m.attribute("opc-compartment"), Tenant: m.tenancy()}.caller()
}

// decodePEM returns what is in the blocks of a file.
func decodePEM(text []byte) (blocks [][]byte) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return blocks
		}
		blocks = append(blocks, block.Bytes)
	}
}

// fingerprint is the certificate's SHA-256 as OCI writes it.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":")
}
