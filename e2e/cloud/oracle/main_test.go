package oracle

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
)

func TestMain(m *testing.M) { os.Exit(cloudtest.RunFake(m)) }

// rig is a fake without a cloud around it, whose instance a dynamic group
// matches.
type rig struct {
	*Fake
	t *testing.T
}

func newRig(t *testing.T) rig {
	t.Helper()
	f, err := New(&cloud.Calls{}, &cloud.Faults{}, Commercial)
	if err != nil {
		t.Fatal(err)
	}
	f.Match(true)
	return rig{f, t}
}

// ask sends a request to a service.
func ask(handler http.Handler, request *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}

// machineKey is the key of the machine's certificate.
func (g rig) machineKey() *rsa.PrivateKey {
	g.t.Helper()
	block, _ := pem.Decode(g.machine.keyPEM)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		g.t.Fatal(err)
	}
	return key
}

// signed is a request, signed by the test itself: it does not know the plugin's
// signer. Host says whether that is signed, too.
func (g rig) signed(method, target, body, keyID string, key *rsa.PrivateKey, host bool) *http.Request {
	g.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Date", g.Now().UTC().Format(http.TimeFormat))
	headers := "date (request-target)"
	lines := []string{"date: " + r.Header.Get("Date"), "(request-target): " + strings.ToLower(method) + " " + r.URL.RequestURI()}
	if host {
		headers += " host"
		lines = append(lines, "host: "+r.Host)
	}
	if method == http.MethodPost {
		sum := sha256.Sum256([]byte(body))
		hash := base64.StdEncoding.EncodeToString(sum[:])
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Content-Sha256", hash)
		headers += " content-length content-type x-content-sha256"
		lines = append(lines, fmt.Sprintf("content-length: %d", len(body)), "content-type: application/json", "x-content-sha256: "+hash)
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", fmt.Sprintf("Signature version=\"1\",headers=\"%s\",keyId=\"%s\",algorithm=\"rsa-sha256\",signature=\"%s\"",
		headers, keyID, base64.StdEncoding.EncodeToString(signature)))
	return r
}

// federate gets a security token for a key.
func (g rig) federate(key *rsa.PrivateKey) string {
	g.t.Helper()
	_, keyID := keyIDs(g.Realm.Tenancy(), g.machine.leaf)
	answer := ask(g.Federation(), g.federation(key, keyID, "SHA256", nil))
	var token struct{ Token string }
	if err := json.Unmarshal(answer.Body.Bytes(), &token); err != nil || answer.Code != 200 {
		g.t.Fatalf("%v: %d %s", err, answer.Code, answer.Body)
	}
	return token.Token
}

// federation is the request for a security token, changed in its body.
func (g rig) federation(key *rsa.PrivateKey, keyID, algorithm string, change func(map[string]any)) *http.Request {
	g.t.Helper()
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		g.t.Fatal(err)
	}
	document := map[string]any{
		"certificate":              base64.StdEncoding.EncodeToString(g.machine.leaf.Raw),
		"intermediateCertificates": []string{base64.StdEncoding.EncodeToString(g.machine.intermediate.Raw)},
		"publicKey":                base64.StdEncoding.EncodeToString(public),
	}
	if algorithm != "" {
		document["fingerprintAlgorithm"] = algorithm
	}
	if change != nil {
		change(document)
	}
	body, err := json.Marshal(document)
	if err != nil {
		g.t.Fatal(err)
	}
	return g.signed(http.MethodPost, "https://"+g.Realm.FederationHost()+"/v1/x509", string(body), keyID, g.machineKey(), false)
}

func newKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// wantViolations fails the test unless the fake was asked so many things that no
// correct program asks.
func (g rig) wantViolations(want int) {
	g.t.Helper()
	if got := g.Calls.Violations(); len(got) != want {
		g.t.Errorf("%d violations, want %d: %v", len(got), want, got)
	}
}
