package ocir

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// oracle answers as Oracle's cloud does, in memory. It verifies signatures: who
// signs with another key than the one that the id names is refused.
type oracle struct {
	t *testing.T

	mu    sync.Mutex
	calls []string // METHOD URL
	keys  map[string]*rsa.PublicKey
	made  int // security tokens and registry tokens

	machine *rsa.PrivateKey
	leaf    []byte

	region string        // what regionInfo says
	ahead  time.Duration // how far its clock is
	denied map[string]bool

	// answer, where it is set, answers instead.
	answer func(*http.Request) *http.Response
}

const (
	testTenancy  = "ocid1.tenancy.oc1..aaaa"
	testInstance = "ocid1.instance.oc1.iad.bbbb"
)

func newOracle(t *testing.T) *oracle {
	t.Helper()
	o := &oracle{t: t, keys: map[string]*rsa.PublicKey{}, denied: map[string]bool{}}
	o.region = `{"realmKey":"oc1","realmDomainComponent":"oraclecloud.com","regionKey":"IAD","regionIdentifier":"us-ashburn-1"}`
	o.machine = testKey(t)
	o.certify("opc-certtype:instance", "opc-compartment:ocid1.compartment.oc1..cccc", "opc-instance:"+testInstance, "opc-tenant:"+testTenancy)
	return o
}

// certify gives the machine a certificate with units of its subject.
func (o *oracle) certify(units ...string) {
	o.t.Helper()
	var names []pkix.AttributeTypeAndValue
	for _, text := range units {
		names = append(names, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: text})
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{ExtraNames: names}, NotAfter: time.Now().Add(time.Hour)}
	var err error
	if o.leaf, err = x509.CreateCertificate(rand.Reader, template, template, o.machine.Public(), o.machine); err != nil {
		o.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(o.leaf)
	if err != nil {
		o.t.Fatal(err)
	}
	o.keys[testTenancy+"/fed-x509-sha256/"+fingerprint(leaf)] = &o.machine.PublicKey
}

var testKey = func() func(testing.TB) *rsa.PrivateKey {
	one := sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	return func(t testing.TB) *rsa.PrivateKey {
		key, err := one()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
}()

func (o *oracle) endpoints() *endpoints {
	return &endpoints{clients: cloudhttp.Through(o), metadata: metadataBase}
}

func (o *oracle) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, r.Method+" "+r.URL.String())
	if o.answer != nil {
		if response := o.answer(r); response != nil {
			return response, nil
		}
	}
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	status, text := o.respond(r, body)
	return o.response(status, text), nil
}

func (o *oracle) response(status int, text string) *http.Response {
	header := http.Header{"Opc-Request-Id": {"REQ1"}, "Date": {o.now().UTC().Format(http.TimeFormat)}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text))}
}

func (o *oracle) now() time.Time { return time.Now().Add(o.ahead) }

func (o *oracle) respond(r *http.Request, body []byte) (status int, text string) {
	switch host, path := r.URL.Host, r.URL.Path; {
	case host == "169.254.169.254":
		return o.metadata(r, path)
	case host == "10.0.0.1:12250":
		return o.cluster(r, body)
	case strings.HasPrefix(host, "auth."):
		return o.federation(r, body)
	case strings.HasSuffix(host, ".identity.oraclecloud.com"):
		return o.exchange(r, body)
	case strings.HasPrefix(path, "/v2/"):
		if o.denied[r.Header.Get("Authorization")] {
			return 403, `{"errors":[{"code":"DENIED","message":"denied"}]}`
		}
		return 404, ""
	default:
		if _, problem := o.verify(r, body); problem != "" {
			return 401, `{"code":"NotAuthenticated","message":"` + problem + `"}`
		}
		o.made++
		return 200, fmt.Sprintf(`{"token":"registry-token-%d","access_token":"","scope":"","expires_in":3600}`, o.made)
	}
}

func (o *oracle) metadata(r *http.Request, path string) (status int, text string) {
	if r.Header.Get("Authorization") != "Bearer Oracle" {
		return 401, "<html>"
	}
	switch path {
	case "/opc/v2/instance/regionInfo":
		return 200, o.region
	case "/opc/v2/identity/key.pem":
		return 200, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(o.machine)}))
	case "/opc/v2/identity/cert.pem", "/opc/v2/identity/intermediate.pem":
		return 200, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.leaf}))
	}
	return 404, ""
}

func (o *oracle) federation(r *http.Request, body []byte) (status int, text string) {
	var asked struct {
		Certificate, PublicKey, FingerprintAlgorithm string
		IntermediateCertificates                     []string
	}
	if _, problem := o.verify(r, body); problem != "" {
		return 401, `{"code":"NotAuthenticated","message":"` + problem + `"}`
	}
	leaf := base64.StdEncoding.EncodeToString(o.leaf)
	if json.Unmarshal(body, &asked) != nil || asked.Certificate != leaf || len(asked.IntermediateCertificates) != 1 || asked.FingerprintAlgorithm != "SHA256" {
		return 400, `{"code":"InvalidParameter","message":"body"}`
	}
	return 200, `{"token":"` + o.issue(asked.PublicKey, testInstance) + `"}`
}

// issue makes a security token that is bound to a public key.
func (o *oracle) issue(public, subject string) string {
	der, err := base64.StdEncoding.DecodeString(public)
	if err != nil {
		o.t.Error(err)
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		o.t.Error(err)
	}
	o.made++
	token := securityToken(fmt.Sprintf(`{"sub":%q,"res_tenant":%q,"exp":%d,"jti":"%d"}`, subject, testTenancy, o.now().Add(20*time.Minute).Unix(), o.made))
	o.keys[tokenPrefix+token] = parsed.(*rsa.PublicKey)
	return token
}

func securityToken(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func (o *oracle) cluster(r *http.Request, body []byte) (status int, text string) {
	var asked struct{ PodKey string }
	if json.Unmarshal(body, &asked) != nil || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer e") {
		return 401, "no"
	}
	block, _ := pem.Decode([]byte(asked.PodKey))
	token := o.issue(base64.StdEncoding.EncodeToString(block.Bytes), "ocid1.workload.oc1..dddd")
	return 200, `"` + base64.StdEncoding.EncodeToString([]byte(`{"token":"ST$`+token+`"}`)) + "\"\n"
}

func (o *oracle) exchange(r *http.Request, body []byte) (status int, text string) {
	id, problem := o.verify(r, body)
	form := string(body)
	if problem != "" {
		return 401, `{"error":"invalid_client","error_description":"` + problem + `"}`
	}
	if !strings.HasPrefix(id, tokenPrefix) || !strings.Contains(form, "subject_token=e") || !strings.Contains(form, "requested_token_type=urn%3Aoci%3Atoken-type%3Aoci-rpst") || !strings.Contains(form, "res_type=k8sworkload") {
		return 400, `{"error":"invalid_request","error_description":"form"}`
	}
	public := regexp.MustCompile(`public_key=([^&]*)`).FindStringSubmatch(form)[1]
	public = strings.NewReplacer("%2B", "+", "%2F", "/", "%3D", "=").Replace(public)
	return 200, `{"token":"` + o.issue(public, "ocid1.domainapp.oc1..eeee") + `"}`
}

var signatureForm = regexp.MustCompile(`^Signature version="1",headers="([^"]*)",keyId="([^"]*)",algorithm="rsa-sha256",signature="([^"]*)"$`)

// verify recomputes a signature. It returns the key's id, or what is wrong.
func (o *oracle) verify(r *http.Request, body []byte) (id, problem string) {
	parts := signatureForm.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil {
		return "", "no signature"
	}
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil || o.now().Sub(date).Abs() > 5*time.Minute {
		return "", "the clock is off"
	}
	var lines []string
	for _, name := range strings.Fields(parts[1]) {
		value := r.Header.Get(name)
		switch name {
		case "(request-target)":
			value = strings.ToLower(r.Method) + " " + r.URL.RequestURI()
		case "host":
			value = r.URL.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		lines = append(lines, name+": "+value)
	}
	if sum := sha256.Sum256(body); r.Method == http.MethodPost && r.Header.Get("X-Content-Sha256") != base64.StdEncoding.EncodeToString(sum[:]) {
		return "", "another body"
	}
	want := map[string]string{http.MethodGet: "date (request-target) host", "POST": "date (request-target) host content-length content-type x-content-sha256"}[r.Method]
	if strings.HasPrefix(r.URL.Host, "auth.") {
		want = strings.Replace(want, " host", "", 1)
	}
	signature, err := base64.StdEncoding.DecodeString(parts[3])
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	key := o.keys[parts[2]]
	if err != nil || parts[1] != want || key == nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) != nil {
		return "", "the signature does not fit " + parts[1]
	}
	return parts[2], ""
}

// count returns how many calls begin so.
func (o *oracle) count(beginning string) int {
	n := 0
	for _, call := range o.calls {
		if strings.HasPrefix(call, beginning) {
			n++
		}
	}
	return n
}

// plain replaces what is answered at a path by a text, for the first times that
// it is asked for, or always if they are none.
func (o *oracle) plain(path string, times int, text string) {
	asked := 0
	o.answer = func(r *http.Request) *http.Response {
		if !strings.HasSuffix(r.URL.Path, path) {
			return nil
		}
		if asked++; times > 0 && asked > times {
			return nil
		}
		return o.response(200, text)
	}
}

// memory is a Getter that keeps what it was given.
type memory struct {
	tokens map[string]credential.Token
}

func newMemory() *memory { return &memory{map[string]credential.Token{}} }

func (m *memory) Token(ctx context.Context, source credential.TokenSource) (credential.Token, error) {
	name := strings.Join(source.Key(), "|")
	if token, ok := m.tokens[name]; ok {
		return token, nil
	}
	return m.fetch(ctx, name, source)
}

func (m *memory) fetch(ctx context.Context, name string, source credential.TokenSource) (credential.Token, error) {
	token, err := source.Fetch(ctx, m)
	if err == nil {
		m.tokens[name] = token
	}
	return token, err
}

func (m *memory) Renew(ctx context.Context, source credential.TokenSource, refused credential.Token) (credential.Token, error) {
	name := strings.Join(source.Key(), "|")
	if held := m.tokens[name]; held.Value.Reveal() != refused.Value.Reveal() {
		return held, nil
	}
	return m.fetch(ctx, name, source)
}

func page(status int) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(bytes.NewReader([]byte("<html>Too many")))}
}
