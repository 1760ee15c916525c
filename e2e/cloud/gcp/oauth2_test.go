package gcp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
)

// keyFile is what a key is downloaded as, as far as signing needs it.
type keyFile struct {
	Type       string `json:"type"`
	KeyID      string `json:"private_key_id"`
	PrivateKey string `json:"private_key"`
	Email      string `json:"client_email"`
	TokenURI   string `json:"token_uri"`
}

func newKeyFile(t *testing.T, g rig, email string) keyFile {
	t.Helper()
	content, err := g.AddKey(email)
	if err != nil {
		t.Fatal(err)
	}
	var file keyFile
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// sign makes an assertion with the key in a file.
func (k keyFile) sign(t *testing.T, claims assertion) string {
	t.Helper()
	block, _ := pem.Decode([]byte(k.PrivateKey))
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(value any) string {
		content, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(content)
	}
	signed := encode(map[string]string{"alg": "RS256", "typ": "JWT", "kid": k.KeyID}) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, parsed.(*rsa.PrivateKey), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestTheHolderOfAKeyIsTheServiceAccount(t *testing.T) {
	g := newRig()
	file := newKeyFile(t, g, pullAccount)
	other := newKeyFile(t, g, nodeAccount)
	now := time.Now().Unix()
	good := assertion{Issuer: pullAccount, Scope: CloudPlatform, Audience: tokenEndpoint, IssuedAt: now - 10, Expires: now + 3590}
	if file.Type != "service_account" || file.Email != pullAccount || file.TokenURI != tokenEndpoint {
		t.Errorf("file %+v", file)
	}
	change := func(change func(*assertion)) assertion {
		changed := good
		change(&changed)
		return changed
	}
	tests := []struct {
		name   string
		token  string
		status int
		code   string
		form   bool
	}{
		{"its own", file.sign(t, good), 200, "", false},
		{"another key", other.sign(t, good), 400, "invalid_grant", false},
		{"a key that was never made", keyFile{KeyID: "none", PrivateKey: file.PrivateKey}.sign(t, good), 400, "invalid_grant", false},
		{"changed", file.sign(t, good) + "x", 400, "invalid_grant", false},
		{"expired", file.sign(t, change(func(a *assertion) { a.Expires = now - 1 })), 400, "invalid_grant", false},
		{"two hours", file.sign(t, change(func(a *assertion) { a.Expires = now + 7200 })), 400, "invalid_grant", false},
		{"another audience", file.sign(t, change(func(a *assertion) { a.Audience = "https://us-docker.pkg.dev" })), 400, "invalid_grant", true},
		{"on behalf of somebody", file.sign(t, change(func(a *assertion) { a.Subject = "ceo@example.com" })), 400, "unauthorized_client", true},
		{"no scope", file.sign(t, change(func(a *assertion) { a.Scope = "" })), 400, "invalid_scope", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g.calls.Reset()
			body := url.Values{"grant_type": {jwtGrant}, "assertion": {test.token}}.Encode()
			answer := cloudtest.Send(g.OAuth2(), http.MethodPost, tokenEndpoint, body, "Content-Type", formKind)
			if answer.Code != test.status {
				t.Fatalf("answer %d %s", answer.Code, answer.Body)
			}
			if test.status == 200 {
				if known, ok := g.Token(access(t, answer)); !ok || known.Principal != Account(pullAccount) || known.Service != "oauth2" {
					t.Errorf("known %+v, %t", known, ok)
				}
			} else if got := cloudtest.Object(t, answer)["error"]; got != test.code {
				t.Errorf("error %v, want %s", got, test.code)
			}
			if form := len(g.calls.Violations()) == 1; form != test.form {
				t.Errorf("violations %v", g.calls.Violations())
			}
		})
	}
	for name, fields := range map[string]url.Values{
		"another grant": {"grant_type": {"refresh_token"}, "refresh_token": {"x"}},
		"one more":      {"grant_type": {jwtGrant}, "assertion": {file.sign(t, good)}, "scope": {CloudPlatform}},
	} {
		g.calls.Reset()
		if answer := cloudtest.Send(g.OAuth2(), http.MethodPost, tokenEndpoint, fields.Encode(), "Content-Type", formKind); answer.Code == 200 {
			t.Errorf("%s: answered", name)
		}
		g.wantViolations(t, 1)
	}
}
