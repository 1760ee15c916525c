package oidc

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"
)

var puller = ServiceAccount{
	Namespace: "shop", Name: "puller", UID: "8f0e1b1c-3c4f-4b55-9a1d-0c3f6a1f2b10",
	Pod: "web-0", PodUID: "5d8c7a52-6e0b-4d2e-8f33-1b2a9c4d5e6f",
	Node: "node1", NodeUID: "0b1c2d3e-4f50-4162-9374-85960718293a",
}

func newToken(t *testing.T, issuer *Issuer) string {
	t.Helper()
	token, err := issuer.Token(puller, "sts.amazonaws.com", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenHasTheLayoutOfAnAPIServer(t *testing.T) {
	issuer := NewIssuer("https://oidc.example")
	segments := strings.Split(newToken(t, issuer), ".")
	var claims map[string]any
	if err := parseSegment(segments[1], &claims); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"exp", "iat", "nbf", "jti"} {
		if _, ok := claims[name]; !ok {
			t.Errorf("no claim %q", name)
		}
		delete(claims, name)
	}
	got, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"aud":["sts.amazonaws.com"],"iss":"https://oidc.example",` +
		`"kubernetes.io":{"namespace":"shop",` +
		`"node":{"name":"node1","uid":"0b1c2d3e-4f50-4162-9374-85960718293a"},` +
		`"pod":{"name":"web-0","uid":"5d8c7a52-6e0b-4d2e-8f33-1b2a9c4d5e6f"},` +
		`"serviceaccount":{"name":"puller","uid":"8f0e1b1c-3c4f-4b55-9a1d-0c3f6a1f2b10"}},` +
		`"sub":"system:serviceaccount:shop:puller"}`
	if string(got) != want {
		t.Errorf("claims %s\nwant   %s", got, want)
	}
}

func TestVerify(t *testing.T) {
	issuer := NewIssuer("https://oidc.example")
	good := newToken(t, issuer)
	segments := strings.Split(good, ".")
	otherClaims, err := segment(Claims{Issuer: issuer.URL, Subject: "system:serviceaccount:shop:admin"})
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := segment(header{Algorithm: "none"})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := issuer.Sign(Claims{Issuer: "https://elsewhere.example"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, token string
		ok          bool
	}{
		{"own token", good, true},
		{"another key", newToken(t, NewIssuer(issuer.URL)), false},
		{"another issuer in the claims", elsewhere, false},
		{"claims exchanged", segments[0] + "." + otherClaims + "." + segments[2], false},
		{"algorithm none", unsigned + "." + segments[1] + ".", false},
		{"two segments", segments[0] + "." + segments[1], false},
		{"not base64", "!." + segments[1] + "." + segments[2], false},
		{"empty", "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			claims, err := issuer.Verify(test.token)
			if (err == nil) != test.ok {
				t.Fatalf("error %v", err)
			}
			if test.ok && claims.Subject != puller.Subject() {
				t.Errorf("subject %q", claims.Subject)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	claims := Claims{Audience: Audience{"a", "b"}, NotBefore: now.Unix() - 10, Expires: now.Unix() + 10}
	tests := []struct {
		name, audience string
		at             time.Time
		want           error
	}{
		{"in time", "b", now, nil},
		{"another audience", "c", now, ErrAudience},
		{"the moment it expires", "a", now.Add(10 * time.Second), ErrExpired},
		{"too early", "a", now.Add(-11 * time.Second), ErrEarly},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := claims.Check(test.audience, test.at); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

func TestAudienceMayBeAString(t *testing.T) {
	for _, content := range []string{`"a"`, `["a"]`} {
		var audience Audience
		if err := json.Unmarshal([]byte(content), &audience); err != nil || len(audience) != 1 || audience[0] != "a" {
			t.Errorf("%s: %v, %v", content, audience, err)
		}
	}
}

func TestKeyPEMIsWhatAnAPIServerReads(t *testing.T) {
	issuer := NewIssuer("https://oidc.example")
	content, err := issuer.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(content)
	if block == nil || block.Type != "RSA PRIVATE KEY" || len(rest) != 0 {
		t.Fatalf("content %q", content)
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if own, err := issuer.key(); err != nil || !own.Equal(key) {
		t.Errorf("another key, %v", err)
	}
}
