package acr

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"regcred/shared/credential"
	"regcred/shared/redact"
)

// pair is a certificate with its key and the one that signed it.
type pair struct {
	key             *rsa.PrivateKey
	leaf, authority *x509.Certificate
}

func newPair(t testing.TB) pair {
	t.Helper()
	newKey := func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	sign := func(name string, ca bool, key, by *rsa.PrivateKey, parent *x509.Certificate) *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: ca, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ca, key := newKey(), newKey()
	authority := sign("authority", true, ca, ca, nil)
	return pair{key, sign("app", false, key, ca, authority), authority}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestCertificates(t *testing.T) {
	p := newPair(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := x509.MarshalPKCS8PrivateKey(elliptical)
	if err != nil {
		t.Fatal(err)
	}
	pfx := func(encoder *pkcs12.Encoder, password string) []byte {
		data, err := encoder.Encode(p.key, p.leaf, []*x509.Certificate{p.authority}, password)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	key, old, leaf, authority := block("PRIVATE KEY", pkcs8), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(p.key)), block("CERTIFICATE", p.leaf.Raw), block("CERTIFICATE", p.authority.Raw)
	locked := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x")})
	for name, tc := range map[string]struct {
		text     []byte
		password string
		want     string
	}{
		"PEM":                        {text: slices.Concat(key, leaf, authority)},
		"in another order":           {text: slices.Concat(authority, leaf, key)},
		"of an old kind":             {text: slices.Concat(leaf, old, authority)},
		"with text between":          {text: slices.Concat([]byte("Bag Attributes\n"), leaf, []byte("more\n"), key, authority)},
		"PFX":                        {text: pfx(pkcs12.Modern, "hunter2"), password: "hunter2"},
		"PFX without a password":     {text: pfx(pkcs12.Modern, "")},
		"PFX without encryption":     {text: pfx(pkcs12.Passwordless, "")},
		"PFX of old tools":           {text: pfx(pkcs12.LegacyDES, "hunter2"), password: "hunter2"},
		"PFX with another password":  {text: pfx(pkcs12.Modern, "hunter2"), password: "hunter3", want: "the PFX has a password"},
		"nothing":                    {want: "neither PEM nor a PFX"},
		"garbage":                    {text: []byte("hunter2"), want: "neither PEM nor a PFX"},
		"a key alone":                {text: key, want: "lacks the certificate or the private key"},
		"a certificate alone":        {text: leaf, want: "lacks the certificate or the private key"},
		"somebody else's":            {text: slices.Concat(key, authority), want: "the private key is of none of the certificates"},
		"two keys":                   {text: slices.Concat(key, old, leaf), want: "more than one private key"},
		"an elliptical one":          {text: slices.Concat(block("PRIVATE KEY", ec), leaf), want: "not RSA; want an RSA key without a password"},
		"an old elliptical one":      {text: slices.Concat(block("EC PRIVATE KEY", []byte("x")), leaf), want: "not RSA; want an RSA key without a password"},
		"a locked key":               {text: slices.Concat(locked, leaf), want: "private key that needs a password; want an RSA key without one"},
		"a locked key of a new kind": {text: slices.Concat(block("ENCRYPTED PRIVATE KEY", pkcs8), leaf), want: "private key that needs a password; want an RSA key without one"},
		"a broken key":               {text: slices.Concat(block("PRIVATE KEY", pkcs8[1:]), leaf), want: "a private key that cannot be read"},
		"a broken certificate":       {text: slices.Concat(key, block("CERTIFICATE", []byte("x"))), want: "a certificate that cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := parseCertificate(tc.text, credential.NewSecret(tc.password))
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter") || redact.Line(err.Error()) != err.Error() {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !c.key.Equal(p.key) || !c.leaf.Equal(p.leaf) || len(c.intermediates) != 1 || !c.intermediates[0].Equal(p.authority) {
				t.Errorf("got %s and %d intermediates", c.leaf.Subject, len(c.intermediates))
			}
		})
	}
}

func TestAssertion(t *testing.T) {
	p := newPair(t)
	c := certificate{p.leaf, []*x509.Certificate{p.authority}, p.key}
	now := time.Now()
	text, err := c.assertion(client, "https://login.test/t/oauth2/v2.0/token", now)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	decode := func(part string, into any) {
		t.Helper()
		data, err := base64.RawURLEncoding.DecodeString(part)
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var header struct {
		Algorithm  string   `json:"alg"`
		Type       string   `json:"typ"`
		Thumbprint string   `json:"x5t#S256"`
		Chain      []string `json:"x5c"`
	}
	decode(parts[0], &header)
	thumbprint := sha256.Sum256(p.leaf.Raw)
	chain := []string{base64.StdEncoding.EncodeToString(p.leaf.Raw), base64.StdEncoding.EncodeToString(p.authority.Raw)}
	if header.Algorithm != "PS256" || header.Type != "JWT" || header.Thumbprint != base64.RawURLEncoding.EncodeToString(thumbprint[:]) || !slices.Equal(header.Chain, chain) {
		t.Errorf("got %+v", header)
	}
	var claims map[string]any
	decode(parts[1], &claims)
	for name, want := range map[string]any{"aud": "https://login.test/t/oauth2/v2.0/token", "iss": client, "sub": client, "nbf": float64(now.Unix()), "exp": float64(now.Unix() + 600)} {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPSS(p.leaf.PublicKey.(*rsa.PublicKey), crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}); err != nil {
		t.Error(err)
	}
	again, err := c.assertion(client, "https://login.test/t/oauth2/v2.0/token", now)
	if err != nil || again == text {
		t.Errorf("two assertions are one: %v", err)
	}
	if _, err := c.assertion(client, "https://login.test", p.leaf.NotAfter.Add(time.Second)); err == nil || !strings.Contains(err.Error(), "it expired at ") {
		t.Errorf("after its end: %v", err)
	}
}

func TestCertificateAuth(t *testing.T) {
	p := newPair(t)
	data, err := pkcs12.Modern.Encode(p.key, p.leaf, nil, "hunter2hunter2")
	if err != nil {
		t.Fatal(err)
	}
	const own, their = "clientCertificatePasswordFile", "aadClientCertPassword in /etc/kubernetes/azure.json"
	file := write(t, "app.pfx", string(data))
	for name, auth := range map[string]certificateAuth{
		"the password in a file":     {file: file, passwordFile: write(t, "password", "hunter2hunter2\n"), passwordSetting: own},
		"the password in azure.json": {file: file, passwordSetting: their, password: credential.NewSecret("hunter2hunter2")},
	} {
		form := url.Values{"client_id": {client}}
		if failure := auth.add(form, "https://login.test"); failure != nil || strings.Count(form.Get("client_assertion"), ".") != 2 {
			t.Errorf("%s: got %q, %v", name, form, failure)
		}
		if strings.Contains(strings.Join(auth.key(), " "), "hunter2") {
			t.Errorf("%s: a password is in %q", name, auth.key())
		}
	}
	other := write(t, "password", "hunter3\n")
	for want, auth := range map[string]certificateAuth{
		"the application's certificate, which S names, cannot be read: no such file or directory: /absent/client-secret":                             {file: "/absent/client-secret", setting: "S"},
		"the PFX's password, which " + own + " names, cannot be read: no such file or directory: /absent/p":                                          {file: file, passwordFile: "/absent/p", passwordSetting: own},
		"the application's certificate, which S names, cannot be used: the PFX has a password, see " + own + ": " + file:                             {file: file, setting: "S", passwordSetting: own},
		"the application's certificate, which S names, cannot be used: the PFX has a password, and not that in " + other + " (" + own + "): " + file: {file: file, setting: "S", passwordFile: other, passwordSetting: own},
		"the application's certificate, which S names, cannot be used: the PFX has a password, and not " + their + ": " + file:                       {file: file, setting: "S", passwordSetting: their, password: credential.NewSecret("hunter3")},
	} {
		failure := auth.add(url.Values{}, "https://login.test")
		if failure == nil || failure.Error() != want || redact.Line(want) != want || !failure.Permanent {
			t.Errorf("got %v, want %q", failure, want)
		}
	}
}

func FuzzCertificate(f *testing.F) {
	p := newPair(f)
	f.Add(slices.Concat(block("CERTIFICATE", p.leaf.Raw), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(p.key))), "")
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n"), "")
	for _, encoder := range []*pkcs12.Encoder{pkcs12.Modern, pkcs12.Passwordless} {
		if data, err := encoder.Encode(p.key, p.leaf, nil, ""); err == nil {
			f.Add(data, "")
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, password string) {
		// A PFX says how often its password is hashed. Whoever may write the
		// file may have it hashed for long.
		for at := range text {
			if at+3 < len(text) && text[at] == 2 && text[at+1] >= 3 && text[at+1] <= 8 && !bytes.Contains(text, []byte("-----BEGIN ")) {
				t.Skip()
			}
		}
		c, err := parseCertificate(text, credential.NewSecret(password))
		if err == nil && (c.leaf == nil || c.key == nil || !c.key.PublicKey.Equal(c.leaf.PublicKey)) {
			t.Errorf("got %+v", c)
		}
	})
}
