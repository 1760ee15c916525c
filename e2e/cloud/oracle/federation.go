package oracle

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// Federation is the service that exchanges the certificate of an instance for a
// security token. Its one operation is GetSecurityToken.
func (f *Fake) Federation() http.Handler {
	return f.front(&cloud.Service{
		Name:      "federation",
		Operation: func(*cloud.Request) string { return "GetSecurityToken" },
		Answer:    f.answerFederation,
		Refuse:    refuse,
	})
}

// securityLife is the life of an instance's security token.
const securityLife = 20 * time.Minute

func (f *Fake) answerFederation(x *cloud.Exchange, r *cloud.Request) error {
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/v1/x509" {
		return fake.RefuseForm(http.StatusNotFound, "NotFound", "no method %s %s", r.Method, r.URL.RequestURI())
	}
	if !fake.HasKind(r, "application/json") {
		return invalid("content type is %q", r.Header.Get("Content-Type"))
	}
	var body struct {
		Certificate   string   `json:"certificate"`
		PublicKey     string   `json:"publicKey"`
		Intermediates []string `json:"intermediateCertificates"`
		Algorithm     string   `json:"fingerprintAlgorithm"`
	}
	decoder := json.NewDecoder(bytes.NewReader(r.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return invalid("%v", err)
	}
	leaf, err := f.verifyChain(body.Certificate, body.Intermediates)
	if err != nil {
		return err
	}
	tenancy := attribute(leaf, "opc-tenant")
	bySHA1, bySHA256 := keyIDs(tenancy, leaf)
	_, err = f.verify(r, false, func(keyID string) (*rsa.PublicKey, error) {
		if keyID != bySHA256 && keyID != bySHA1 || (keyID == bySHA256) != (body.Algorithm == "SHA256") {
			return nil, notAuthenticated(true, "the key id is not the certificate's, or of another algorithm")
		}
		return leaf.PublicKey.(*rsa.PublicKey), nil
	})
	if err != nil {
		return err
	}
	public, err := parsePublic(body.PublicKey, 2048)
	if err != nil {
		return err
	}
	instance := attribute(leaf, "opc-instance")
	p := Principal{Owner: instance, Member: f.matches(instance), public: public}
	x.Summarize("%s", p)
	settings := f.Current().Federation
	granted := f.grant(settings, securityLife, p, map[string]any{
		"opc-instance": instance, "opc-compartment": attribute(leaf, "opc-compartment"), "opc-tenant": tenancy,
	})
	return answerToken(x, granted)
}

// answerToken answers a security token.
func answerToken(x *cloud.Exchange, granted fake.Grant) error {
	return fake.AnswerJSON(x, granted.Shape.Apply(map[string]any{"token": granted.Token}, "token"))
}

// verifyChain reads certificates and verifies that the realm's authority vouches
// for the first.
func (f *Fake) verifyChain(certificate string, above []string) (*x509.Certificate, error) {
	leaf, err := parseCertificate(certificate)
	if err != nil {
		return nil, err
	}
	intermediates := x509.NewCertPool()
	for _, encoded := range above {
		intermediate, err := parseCertificate(encoded)
		if err != nil {
			return nil, err
		}
		intermediates.AddCert(intermediate)
	}
	if _, ok := leaf.PublicKey.(*rsa.PublicKey); !ok || attribute(leaf, "opc-certtype") != "instance" {
		return nil, invalid("the certificate is not an instance's")
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: f.machine.roots, Intermediates: intermediates, CurrentTime: f.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, notAuthenticated(true, err.Error())
	}
	return leaf, nil
}

func parseCertificate(encoded string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, invalid("a certificate is not base64: %v", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, invalid("a certificate is none: %v", err)
	}
	return certificate, nil
}
