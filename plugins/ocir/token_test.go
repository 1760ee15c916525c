package ocir

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// settled returns the provider of a command line, asking an oracle.
func settled(t *testing.T, o *oracle, env []string, args ...string) *provider {
	t.Helper()
	cloud, _, err := Plugin().Load(args, plugintest.Getenv(env...))
	if err != nil {
		t.Fatal(err)
	}
	p := cloud.Provider.(*provider)
	if o != nil {
		p.endpoints.clients = o.endpoints().clients
	}
	return p
}

// ask fetches the credential for an image.
func ask(t *testing.T, p *provider, getter credential.Getter, request credential.Request) (credential.Credential, error) {
	t.Helper()
	answer, err := p.Answer(request)
	if err != nil || answer.Source == nil {
		t.Fatalf("got %+v, %v", answer, err)
	}
	return answer.Source.Fetch(t.Context(), getter)
}

func node(t *testing.T, image string) credential.Request {
	t.Helper()
	return plugintest.Request(t, image, nil, nil)
}

func TestTheInstancePrincipal(t *testing.T) {
	o := newOracle(t)
	p, getter := settled(t, o, nil), newMemory()
	c, err := ask(t, p, getter, node(t, "iad.ocir.io/ns/app"))
	if err != nil || c.Username != "BEARER_TOKEN" || c.Password.Reveal() != "registry-token-2" {
		t.Fatalf("got %+v, %v", c, err)
	}
	if life := time.Until(c.Expires); life < 59*time.Minute || life > time.Hour {
		t.Errorf("expires in %s", life)
	}
	if c.Caller != testInstance+" in ocid1.compartment.oc1..cccc" {
		t.Errorf("caller %s", c.Caller)
	}
	// Another registry of the realm needs no other security token.
	if _, err := ask(t, p, getter, node(t, "ocir.eu-frankfurt-1.oci.oraclecloud.com/ns/app")); err != nil {
		t.Fatal(err)
	}
	if o.count("GET http://169.254.169.254/") != 4 || o.count("POST https://auth.us-ashburn-1.oraclecloud.com/v1/x509") != 1 ||
		o.count("GET https://iad.ocir.io/20180419/docker/token") != 1 || o.count("GET https://ocir.eu-frankfurt-1.oci.oraclecloud.com/20180419/docker/token") != 1 || len(o.calls) != 7 {
		t.Errorf("calls %q", o.calls)
	}
}

// Registries write their answers in more than one way.
func TestAnswersOfRegistries(t *testing.T) {
	for answer, want := range map[string]struct {
		password string
		life     time.Duration
	}{
		`{"token":"a","access_token":"a","scope":"","expires_in":3600}`: {"a", time.Hour},
		`{"access_token":"a","expires_in":3600}`:                        {"a", time.Hour},
		`{"token":"","access_token":"a","expires_in":"3600"}`:           {"a", time.Hour},
		`{"token":"a"}`: {"a", shortLife},
		`{"token":"a","expires_in":null,"issued_at":"now"}`: {"a", shortLife},
	} {
		o := newOracle(t)
		o.plain("/docker/token", 0, answer)
		c, err := ask(t, settled(t, o, nil), newMemory(), node(t, "iad.ocir.io/ns/app"))
		if err != nil || c.Password.Reveal() != want.password || (time.Until(c.Expires)-want.life).Abs() > time.Minute {
			t.Errorf("%s: got %+v, %v", answer, c, err)
		}
	}
}

// Oracle's own programs ask only where the region is, and regionInfo may not be
// there.
func TestAMetadataServiceWithoutRegionInfo(t *testing.T) {
	for answer, want := range map[string]string{
		"iad":            "auth.us-ashburn-1.oraclecloud.com",
		"PHX\n":          "auth.us-phoenix-1.oraclecloud.com",
		"eu-frankfurt-1": "auth.eu-frankfurt-1.oraclecloud.com",
		"zz-newplace-1":  "",
		"<html>":         "",
	} {
		o := newOracle(t)
		o.answer = func(r *http.Request) *http.Response {
			switch r.URL.Path {
			case "/opc/v2/instance/regionInfo":
				return o.response(404, "<html>")
			case "/opc/v2/instance/region":
				return o.response(200, answer)
			}
			return nil
		}
		_, err := ask(t, settled(t, o, nil), newMemory(), node(t, "iad.ocir.io/ns/app"))
		switch {
		case want != "" && (err != nil || o.count("POST https://"+want+"/") != 1):
			t.Errorf("%q: %v, calls %q", answer, err, o.calls)
		case want == "" && (err == nil || !strings.Contains(err.Error(), "imds region")):
			t.Errorf("%q: %v", answer, err)
		}
	}
}

// The SDK's variable says where certificates are exchanged.
func TestAFederationServiceOfItsOwn(t *testing.T) {
	o := newOracle(t)
	env := []string{"OCI_SDK_AUTH_CLIENT_REGION_URL=https://auth.private.example.com/"}
	if _, err := ask(t, settled(t, o, env), newMemory(), node(t, "iad.ocir.io/ns/app")); err != nil || o.count("POST https://auth.private.example.com/v1/x509") != 1 || o.count("POST ") != 1 {
		t.Errorf("got %v, calls %q", err, o.calls)
	}
}

// Certificates name the tenancy in one of two ways, and files have been through
// editors.
func TestCertificatesOfMachines(t *testing.T) {
	o := newOracle(t)
	o.certify("opc-certtype:instance", "opc-instance:"+testInstance, "opc-identity:"+testTenancy)
	if c, err := ask(t, settled(t, o, nil), newMemory(), node(t, "iad.ocir.io/ns/app")); err != nil || c.Caller != testInstance+" of "+testTenancy {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, path := range []string{"cert.pem", "key.pem", "intermediate.pem"} {
		o := newOracle(t)
		_, text := o.metadata(&http.Request{Header: http.Header{"Authorization": {"Bearer Oracle"}}}, "/opc/v2/identity/"+path)
		o.plain(path, 0, "Bag Attributes\r\n"+strings.ReplaceAll(text, "\n", "\r\n")+"\r\nOCI_API_KEY")
		if _, err := ask(t, settled(t, o, nil), newMemory(), node(t, "iad.ocir.io/ns/app")); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	o = newOracle(t)
	o.certify("opc-certtype:instance", "opc-instance:"+testInstance)
	if _, err := ask(t, settled(t, o, nil), newMemory(), node(t, "iad.ocir.io/ns/app")); err == nil || !strings.Contains(err.Error(), "names no tenancy") {
		t.Errorf("got %v", err)
	}
}

// The certificate and its key are two documents, and are replaced several times
// a day.
func TestACertificateThatIsReplacedMeanwhile(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	o := newOracle(t)
	o.plain("key.pem", 1, encodeKey(other).Reveal())
	if _, err := ask(t, settled(t, o, nil), newMemory(), node(t, "iad.ocir.io/ns/app")); err != nil || o.count("POST https://auth.") != 1 {
		t.Errorf("got %v, calls %q", err, o.calls)
	}
	o = newOracle(t)
	o.plain("key.pem", 0, encodeKey(other).Reveal())
	if _, err := ask(t, settled(t, o, nil), newMemory(), node(t, "iad.ocir.io/ns/app")); err == nil || !strings.Contains(err.Error(), "key is another") || o.count("POST ") != 0 {
		t.Errorf("got %v, calls %q", err, o.calls)
	}
}

// Services refuse signatures that are more than five minutes off.
func TestTheClockIsOff(t *testing.T) {
	for _, ahead := range []time.Duration{6 * time.Minute, -6 * time.Minute, 30 * time.Hour} {
		o := newOracle(t)
		o.ahead = ahead
		getter := newMemory()
		if _, err := ask(t, settled(t, o, nil), getter, node(t, "iad.ocir.io/ns/app")); err != nil {
			t.Errorf("%s: %v", ahead, err)
		}
		// What was found out at the first service is not found out again.
		if o.count("POST https://auth.") != 2 || o.count("GET https://iad.ocir.io/") != 1 {
			t.Errorf("%s: calls %q", ahead, o.calls)
		}
		for name, token := range getter.tokens {
			if life := time.Until(token.Expires); strings.Contains(name, "principal") && (life < 19*time.Minute || life > 21*time.Minute) {
				t.Errorf("%s: the security token is kept for %s", ahead, life)
			}
		}
	}
}

func TestRealms(t *testing.T) {
	government := `{"realmKey":"oc3","realmDomainComponent":"oraclegovcloud.com","regionKey":"RIC","regionIdentifier":"us-gov-ashburn-1"}`
	dedicated := `{"realmKey":"oc77","realmDomainComponent":"oraclecloud77.com","regionKey":"ZZZ","regionIdentifier":"zz-new-1"}`
	for name, tc := range map[string]struct {
		region, image, want string
		calls               int
	}{
		"another realm's":  {"", "ocir.us-gov-ashburn-1.oci.oraclegovcloud.com", "registry of realm oc3, while the identity is of oc1", 1},
		"another domain's": {"", "ocir.us-newplace-1.oci.oraclegovcloud.com", "registry of realm oraclegovcloud.com, while the identity is of oc1", 1},
		"a new region":     {"", "ocir.zz-newplace-1.oci.oraclecloud.com", "", 6},
		"not the node's":   {"", dedicatedHost, "anonymous", 1},
		// The node's own data counts, and not how OCIDs are written there.
		"a government's":            {government, "ocir.us-gov-ashburn-1.oci.oraclegovcloud.com", "", 6},
		"the node's own":            {dedicated, dedicatedHost, "", 6},
		"the public's on dedicated": {dedicated, "iad.ocir.io", "registry of realm oc1, while the identity is of oc77", 1},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t)
			if tc.region != "" {
				o.region = tc.region
			}
			c, err := ask(t, settled(t, o, nil), newMemory(), node(t, tc.image+"/ns/app"))
			switch {
			case tc.want == "anonymous" && (err != nil || !c.IsAnonymous()):
				t.Errorf("got %+v, %v", c, err)
			case tc.want == "" && (err != nil || c.IsAnonymous()):
				t.Errorf("got %+v, %v", c, err)
			case tc.want != "" && tc.want != "anonymous" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v", err)
			}
			if len(o.calls) != tc.calls {
				t.Errorf("calls %q", o.calls)
			}
			if tc.region == dedicated && tc.want == "" && o.count("POST https://auth.zz-new-1.oraclecloud77.com/v1/x509") != 1 {
				t.Errorf("calls %q", o.calls)
			}
		})
	}
}

// A security token from before its dynamic group was made is of no use for its
// whole life.
func TestARefusedSecurityTokenIsRenewedOnce(t *testing.T) {
	for _, status := range []int{401, 403, 404} {
		o := newOracle(t)
		refused := 0
		o.answer = func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, "/docker/token") && refused == 0 {
				refused++
				return o.response(status, `{"code":"NotAuthorizedOrNotFound","message":"no"}`)
			}
			return nil
		}
		c, err := ask(t, settled(t, o, nil), newMemory(), node(t, "iad.ocir.io/ns/app"))
		if err != nil || c.Password.Empty() || o.count("POST https://auth.") != 2 || o.count("GET http://169.254.169.254/") != 7 {
			t.Errorf("%d: %v, %q", status, err, o.calls)
		}
	}
}

func TestVerify(t *testing.T) {
	o := newOracle(t)
	p, getter := settled(t, o, nil, "--verify"), newMemory()
	answer, err := p.Answer(node(t, "iad.ocir.io/ns/app"))
	if err != nil || !answer.PerImage {
		t.Fatalf("got %+v, %v", answer, err)
	}
	if _, err := answer.Source.Fetch(t.Context(), getter); err != nil {
		t.Fatal(err)
	}
	// Repositories share the registry's token.
	if _, err := ask(t, p, getter, node(t, "iad.ocir.io/ns/other")); err != nil {
		t.Fatal(err)
	}
	if o.count("HEAD https://iad.ocir.io/v2/ns/app/manifests/latest") != 1 || o.count("HEAD ") != 2 || o.count("GET https://iad.ocir.io/20180419") != 1 {
		t.Errorf("calls %q", o.calls)
	}
	// What may not read the repository is asked for again, with a new security
	// token.
	o.denied["Bearer registry-token-2"] = true
	c, err := ask(t, p, getter, node(t, "iad.ocir.io/ns/third"))
	if err != nil || c.Password.Reveal() != "registry-token-4" || o.count("POST https://auth.") != 2 {
		t.Errorf("got %+v, %v, %q", c, err, o.calls)
	}
	o.denied["Bearer registry-token-4"], o.denied["Bearer registry-token-6"] = true, true
	if _, err := ask(t, p, getter, node(t, "iad.ocir.io/ns/app")); err == nil || !strings.Contains(err.Error(), "may not read repository ns/app: a policy has to say") || !strings.Contains(err.Error(), testInstance) {
		t.Errorf("got %v", err)
	}
	// A registry that cannot be asked keeps nobody from pulling.
	o.answer = func(r *http.Request) *http.Response {
		if r.Method == http.MethodHead {
			return o.response(503, "")
		}
		return nil
	}
	if c, err := ask(t, p, getter, node(t, "iad.ocir.io/ns/app")); err != nil || time.Until(c.Refresh) > time.Minute {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestPodsPullAsThemselves(t *testing.T) {
	authority := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(authority, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"workload": {"--pod-identity=workload", "--cluster-host=10.0.0.1", "--cluster-ca-file=" + authority},
		"exchange": {"--pod-identity=exchange", "--identity-domain=https://idcs-1.identity.oraclecloud.com:443/", "--resource-type=k8sworkload"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t)
			p := settled(t, o, nil, args...)
			p.domain.url = strings.TrimSuffix(p.domain.url, ":443")
			c, err := ask(t, p, newMemory(), plugintest.Request(t, "iad.ocir.io/ns/app", plugintest.Pod(t, "shop", "u1", "p1"), nil))
			if err != nil || c.Password.Empty() || strings.Contains(c.Caller, "instance") {
				t.Errorf("got %+v, %v; calls %q", c, err, o.calls)
			}
			if name == "workload" && o.count("POST https://auth.") != 0 {
				t.Errorf("calls %q", o.calls)
			}
		})
	}
}

func TestLocalPrincipals(t *testing.T) {
	o := newOracle(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(testKey(t))}))
	key := write("key.pem", private)
	session := securityToken(`{"sub":"ocid1.user.oc1..u","tenant":"` + testTenancy + `","exp":4000000000}`)
	token := write("token", session+"\n")
	over := securityToken(`{"exp":1000}`)
	locked := write("locked.pem", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAAAAAAAAAAAAAAAAAAAA==\n-----END RSA PRIVATE KEY-----\n")
	config := write("config", "[LOCKED]\nkey_file="+locked+"\n[WRONG]\nkey_file="+locked+"\npass_phrase=secret-secret\n[OVER]\nkey_file="+key+"\nsecurity_token_file="+write("over", over)+"\n[DEFAULT]\nuser = ocid1.user.oc1..u\nfingerprint=aa:bb\ntenancy="+testTenancy+"\nregion=us-ashburn-1\nkey_file="+key+
		"\n# a comment = none\n[SESSION]\nkey_file=~/key.pem\nsecurity_token_file="+token+"\ntenancy="+testTenancy+"\n[GOV]\nuser=u\nfingerprint=f\ntenancy=ocid1.tenancy.oc3..x\nkey_file="+key+
		"\n[ADMIN] # who is another\nuser=ocid1.user.oc1..admin\nfingerprint=cc:dd"+"\n[NOKEY]\nuser=u\nkey_file=/none\n[BAD]\nuser=u\ntenancy=t\nfingerprint=f\nkey_file="+token+"\n")
	o.keys[testTenancy+"/ocid1.user.oc1..u/aa:bb"] = &testKey(t).PublicKey
	o.keys[testTenancy+"/ocid1.user.oc1..admin/cc:dd"] = &testKey(t).PublicKey
	o.keys[tokenPrefix+session] = &testKey(t).PublicKey
	resource := []string{"OCI_RESOURCE_PRINCIPAL_VERSION=2.2", "OCI_RESOURCE_PRINCIPAL_RPST=" + token, "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM=" + key}
	user := "--auth-method=USER_PRINCIPAL"
	for name, tc := range map[string]struct {
		env  []string
		args []string
		want string // in the error
	}{
		"an API key":              {nil, []string{user, "--oci-config=" + config}, ""},
		"a session":               {[]string{"HOME=" + dir, "OCI_CONFIG_FILE=" + config}, []string{user, "--oci-profile=SESSION"}, ""},
		"values of DEFAULT":       {nil, []string{user, "--oci-config=" + config, "--oci-profile=ADMIN"}, ""},
		"in the home directory":   {[]string{"HOME=" + dir, "OCI_CONFIG_FILE=~/config"}, []string{user}, ""},
		"of another realm":        {nil, []string{user, "--oci-config=" + config, "--oci-profile=GOV"}, "registry of realm oc1, while the identity is of oc3"},
		"no such profile":         {nil, []string{user, "--oci-config=" + config, "--oci-profile=NONE"}, "profile NONE in " + config + ": no such profile in the file"},
		"no such file":            {[]string{"HOME=" + dir}, []string{user}, "profile DEFAULT in " + dir + "/.oci/config: no such file or directory"},
		"no key":                  {nil, []string{user, "--oci-config=" + config, "--oci-profile=NOKEY"}, "key_file: no such file or directory: /none"},
		"not a key":               {nil, []string{user, "--oci-config=" + config, "--oci-profile=BAD"}, "key_file: not a private RSA key in PEM: " + token},
		"a locked key":            {nil, []string{user, "--oci-config=" + config, "--oci-profile=LOCKED"}, "key_file: an encrypted private key, and no passphrase: "},
		"a key of another phrase": {nil, []string{user, "--oci-config=" + config, "--oci-profile=WRONG"}, "key_file: not a private key in PEM, or of another passphrase than this: "},
		"a resource principal":    {resource, []string{"--auth-method=resource_principal"}, ""},
		"its values":              {[]string{"OCI_RESOURCE_PRINCIPAL_RPST=" + session, "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM=" + private}, []string{"--auth-method=resource_principal"}, ""},
		"no resource principal":   {nil, []string{"--auth-method=resource_principal"}, "OCI_RESOURCE_PRINCIPAL_RPST: not set"},
		"a session that is over":  {nil, []string{user, "--oci-config=" + config, "--oci-profile=OVER"}, ": oci session refresh --profile OVER makes another"},
		"a resource that is over": {[]string{"OCI_RESOURCE_PRINCIPAL_RPST=" + over, "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM=" + private}, []string{"--auth-method=resource_principal"}, "the node's resource principal: the security token expired at 1970-01-01T00:16:40Z; here it is "},
		"a token that is not one": {[]string{"OCI_RESOURCE_PRINCIPAL_RPST=secret-secret", "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM=" + private}, []string{"--auth-method=resource_principal"}, "no JWT that expires"},
	} {
		t.Run(name, func(t *testing.T) {
			getter := newMemory()
			o.calls = nil
			c, err := ask(t, settled(t, o, tc.env, tc.args...), getter, node(t, "iad.ocir.io/ns/app"))
			switch {
			case tc.want == "" && (err != nil || c.Password.Empty() || c.Caller == ""):
				t.Errorf("got %+v, %v", c, err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret-secret")):
				t.Errorf("got %v", err)
			}
			if len(getter.tokens) != 0 {
				t.Error("a local key was kept")
			}
			if tc.want == "" && len(o.calls) != 1 || tc.want != "" && len(o.calls) != 0 {
				t.Errorf("calls %q", o.calls)
			}
		})
	}
}

func TestLogins(t *testing.T) {
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("auth-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte("apiVersion: regcred/v1\nkind: OCIRCredentialProviderConfig\naliases: {mirror.example.com: fra.ocir.io}\nlogins:\n  fra.ocir.io: {username: ns/jdoe, passwordFile: "+password+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newOracle(t)
	p := settled(t, o, nil, "--config", config)
	c, err := ask(t, p, newMemory(), node(t, "fra.ocir.io/ns/app"))
	if err != nil || c.Username != "ns/jdoe" || c.Password.Reveal() != "auth-token" || len(o.calls) != 0 {
		t.Errorf("got %+v, %v; calls %q", c, err, o.calls)
	}
	if err := os.Remove(password); err != nil {
		t.Fatal(err)
	}
	const lost = `the password of user ns/jdoe, which logins["fra.ocir.io"].passwordFile names, cannot be read: no such file or directory: `
	if _, err := ask(t, p, newMemory(), node(t, "fra.ocir.io/ns/app")); err == nil || !strings.Contains(err.Error(), lost+password) {
		t.Errorf("got %v", err)
	}
	request := node(t, "mirror.example.com/app")
	request.Registry = node(t, "fra.ocir.io/app").Registry
	if _, err := p.Answer(request); err == nil || !strings.Contains(err.Error(), "for that host alone") {
		t.Errorf("got %v", err)
	}
}

func TestFailures(t *testing.T) {
	pod := plugintest.Pod(t, "shop", "u1", "p1")
	for name, tc := range map[string]struct {
		path   string // of the service that answers so
		status int
		body   string
		pod    bool
		want   []string
	}{
		"no metadata service":    {"/opc/v2", 404, "", false, []string{"no such document", "--auth-method=user_principal", "imds regionInfo at 169.254.169.254: status 404"}},
		"an odd region":          {"regionInfo", 200, `{"realmKey":"oc1","realmDomainComponent":"x/y","regionIdentifier":"z"}`, false, []string{"the answer of 169.254.169.254 makes no sense"}},
		"an odd certificate":     {"cert.pem", 200, "none", false, []string{"makes no sense", "imds cert.pem"}},
		"an odd key":             {"key.pem", 200, "none", false, []string{"makes no sense", "imds key.pem"}},
		"no certificate":         {"/v1/x509", 401, `{"code":"NotAuthenticated","message":"bad"}`, false, []string{"OCI does not accept the instance's certificate", "federation at auth.us-ashburn-1.oraclecloud.com: status 401 NotAuthenticated: bad; opc-request-id REQ1; as " + testInstance}},
		"the clock":              {"/v1/x509", 401, `{"code":"NotAuthenticated","message":"Date is off by too much"}`, false, []string{"check the node's clock"}},
		"an odd chain":           {"intermediate.pem", 200, "none", false, []string{"makes no sense", "imds intermediate.pem"}},
		"no word of a clock":     {"/v1/x509", 401, `{"code":"NotAuthenticated","message":"Failed to validate the updated certificate"}`, false, []string{"OCI does not accept the instance's certificate [federation"}},
		"a token without end":    {"/v1/x509", 200, `{"token":"abc"}`, false, []string{"the security token is no JWT that expires"}},
		"an expired token":       {"/v1/x509", 200, `{"token":"` + securityToken(`{"exp":1000}`) + `"}`, false, []string{"already expired", "check the node's clock"}},
		"a status of Kubernetes": {"/docker/token", 403, `{"kind":"Status","message":"words of the server","code":403}`, false, []string{"status 403: words of the server"}},
		"unknown":                {"/docker/token", 401, `{"code":"NotAuthenticated","message":"x"}`, false, []string{"the registry does not know the identity or its key [token at iad.ocir.io", testInstance}},
		"not allowed":            {"/docker/token", 404, `{"code":"NotAuthorizedOrNotFound","message":"x"}`, false, []string{"allow dynamic-group GROUP to read repos", "status 404 NotAuthorizedOrNotFound"}},
		"no such method":         {"/docker/token", 405, ``, false, []string{"no tokens at this address", "--token-path"}},
		"an odd request":         {"/docker/token", 400, `{"code":"InvalidParameter","message":"x"}`, false, []string{"the registry refuses the request [token at iad.ocir.io: status 400 InvalidParameter: x"}},
		"no such path":           {"/docker/token", 404, `not found`, false, []string{"no tokens at this address", "--token-path"}},
		"an empty token":         {"/docker/token", 200, `{"token":"","expires_in":3600}`, false, []string{"the answer holds no token"}},
		"no JSON":                {"/docker/token", 200, `<html>`, false, []string{"the answer of iad.ocir.io makes no sense"}},
		"a redirect":             {"/docker/token", 302, ``, false, []string{"redirects elsewhere"}},
		"throttled":              {"/docker/token", 429, `{"code":"TooManyRequests","message":"User-rate limit exceeded."}`, false, []string{"throttles requests", "status 429 TooManyRequests"}},
		"no policy":              {"/oauth2/v1/token", 404, `{"code":"NotAuthorizedOrNotFound","message":"x"}`, true, []string{"{GET_RPST}", "status 404 NotAuthorizedOrNotFound"}},
		"no domain":              {"/oauth2/v1/token", 404, `{"message":"Not Found"}`, true, []string{"the identity domain exchanges no tokens at this address: check --identity-domain", "status 404"}},
		"no trust":               {"/oauth2/v1/token", 400, `{"error":"invalid_request","error_description":"unknown issuer"}`, true, []string{"needs a trust for issuer https://issuer", "system:serviceaccount:prod:shop", "unknown issuer"}},
		"no right to ask":        {"/oauth2/v1/token", 401, `{"error":"invalid_client"}`, true, []string{"{GET_RPST}", "service account prod/shop: ", "; as " + testInstance}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t)
			o.answer = func(r *http.Request) *http.Response {
				if strings.Contains(r.URL.Path, tc.path) {
					return o.response(tc.status, tc.body)
				}
				return nil
			}
			args := []string{"--pod-identity=exchange", "--identity-domain=https://idcs-1.identity.oraclecloud.com", "--resource-type=k8sworkload"}
			request := node(t, "iad.ocir.io/ns/app")
			if tc.pod {
				request.Pod = pod
			}
			_, err := ask(t, settled(t, o, nil, args...), newMemory(), request)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwithout %q", err, want)
				}
			}
			if len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
				t.Errorf("of %d bytes: %v", len(err.Error()), err)
			}
			var failure *credential.Failure
			if !errors.As(err, &failure) {
				t.Errorf("no failure: %v", err)
			}
		})
	}
}

// A cluster's port answers with lines for people, or as Kubernetes does.
func TestAClusterThatRefuses(t *testing.T) {
	pod := plugintest.Pod(t, "shop", "u1", "p1")
	for name, tc := range map[string]struct {
		status            int
		contentType, body string
		want              []string
	}{
		"a line":     {403, "text/plain; charset=utf-8", "no identities here\n", []string{"needs an enhanced cluster", "status 403: no identities here"}},
		"Kubernetes": {401, "application/json", `{"kind":"Status","message":"invalid bearer token","code":401}`, []string{"serviceAccountTokenAudience", "status 401: invalid bearer token"}},
		"Oracle":     {400, "application/json", `{"code":"InvalidParameter","message":"podKey"}`, []string{"refuses the exchange", "status 400 InvalidParameter: podKey"}},
	} {
		o := newOracle(t)
		o.answer = func(*http.Request) *http.Response {
			response := o.response(tc.status, tc.body)
			response.Header.Set("Content-Type", tc.contentType)
			return response
		}
		_, err := ask(t, settled(t, o, nil, "--pod-identity=workload", "--cluster-host=10.0.0.1"), newMemory(), plugintest.Request(t, "iad.ocir.io/ns/app", pod, nil))
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v\nwithout %q", name, err, want)
			}
		}
	}
}

// Registries give a token for the public's repositories to a request without a
// signature, which is no credential.
func TestNothingIsAskedWithoutASignature(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak, err := rsa.GenerateKey(rand.Reader, 512)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "")
	o := newOracle(t)
	call := cloudhttp.Call{Stage: stageToken, URL: "https://iad.ocir.io/20180419/docker/token"}
	if reply := o.endpoints().signed(t.Context(), call, key{"id", weak}, signedHeaders); reply.Err == nil || len(o.calls) != 0 {
		t.Errorf("got %+v, calls %q", reply, o.calls)
	}
	if _, err := parseKey(encodeKey(weak), ""); err == nil || !strings.Contains(err.Error(), "RSA key of 512 bits") {
		t.Errorf("got %v", err)
	}
}

// A region that a tenancy is not subscribed to does not know its identities, and
// the node's own does.
func TestARegistryThatDoesNotKnowTheIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("[DEFAULT]\nuser=u\nfingerprint=aa:bb\ntenancy="+testTenancy+"\nkey_file="+file+".pem\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".pem", []byte(encodeKey(testKey(t)).Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	const problem = "the registry does not know the identity or its key"
	for name, tc := range map[string]struct {
		args       []string
		host, want string
	}{
		"the node's region":    {nil, "iad.ocir.io", problem + " [token"},
		"the same, by its id":  {nil, "ocir.us-ashburn-1.oci.oraclecloud.com", problem + " [token"},
		"another region":       {nil, "fra.ocir.io", problem + ": the tenancy has to be subscribed to region eu-frankfurt-1 [token"},
		"one that nobody knew": {nil, "zzz.ocir.io", problem + " [token"},
		"a user":               {[]string{"--auth-method=user_principal", "--oci-config=" + file}, "iad.ocir.io", problem + ": the key has to be one of the user's, and the tenancy be subscribed to the region [token"},
	} {
		o := newOracle(t)
		o.answer = func(r *http.Request) *http.Response {
			if !strings.HasSuffix(r.URL.Path, "/docker/token") {
				return nil
			}
			return o.response(401, `{"code":"NotAuthenticated","message":"no"}`)
		}
		if _, err := ask(t, settled(t, o, nil, tc.args...), newMemory(), node(t, tc.host+"/ns/app")); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The metadata service throttles with a page.
func TestAPageOfTheMetadataService(t *testing.T) {
	o := newOracle(t)
	o.answer = func(*http.Request) *http.Response { return page(429) }
	if _, err := ask(t, settled(t, o, nil), newMemory(), node(t, "iad.ocir.io/ns/app")); err == nil || !strings.Contains(err.Error(), "the instance metadata service throttles requests") {
		t.Errorf("got %v", err)
	}
}
