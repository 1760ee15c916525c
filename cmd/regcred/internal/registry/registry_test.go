package registry

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regcred/shared/credential"
	"regcred/shared/kubelet"
)

const (
	password = "a-password-that-nobody-sees"
	digest   = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	index    = "application/vnd.oci.image.index.v1+json"
	manifest = "application/vnd.oci.image.manifest.v1+json"
)

// fakeRegistry is a registry and its token service.
type fakeRegistry struct {
	*httptest.Server

	challenge string // empty: whoever asks is answered
	token     int    // status of the token service
	manifest  int    // status of a manifest
	mediaType string
	body      string
	says      string // of an error
	asked     []string
}

func start(t *testing.T, tls bool) *fakeRegistry {
	t.Helper()
	r := &fakeRegistry{token: 200, manifest: 200, mediaType: manifest}
	r.Server = httptest.NewUnstartedServer(r)
	if tls {
		r.StartTLS()
	} else {
		r.Start()
	}
	r.Config.ErrorLog = nil
	t.Cleanup(r.Close)
	r.challenge = fmt.Sprintf(`Bearer realm="%s/token",service="fake",scope="repository:team/app:pull"`, r.URL)
	return r
}

func (r *fakeRegistry) host() string { return r.Listener.Addr().String() }

func (r *fakeRegistry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.asked = append(r.asked, request.Method+" "+request.URL.String())
	fail := func(status int) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":%q}]}`, r.says)
	}
	if request.URL.Path == "/token" {
		user, pass, _ := request.BasicAuth()
		switch {
		case r.token != 200:
			fail(r.token)
		case user == "user" && pass == password:
			_, _ = io.WriteString(w, `{"token":"token-of-the-user","expires_in":300}`)
		default:
			_, _ = io.WriteString(w, `{"access_token":"token-of-nobody"}`)
		}
		return
	}
	authorization := request.Header.Get("Authorization")
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+password))
	taken := authorization == "Bearer token-of-the-user" || strings.HasPrefix(r.challenge, "Basic") && authorization == basic
	switch {
	case r.challenge != "" && !taken && (authorization == "" || r.manifest == 200):
		w.Header().Add("WWW-Authenticate", "Negotiate")
		w.Header().Add("WWW-Authenticate", r.challenge)
		fail(401)
	case r.manifest != 200:
		fail(r.manifest)
	default:
		w.Header().Set("Docker-Content-Digest", digest)
		w.Header().Set("Content-Type", r.mediaType)
		_, _ = io.WriteString(w, r.body)
	}
}

func user() *kubelet.Auth {
	return &kubelet.Auth{Username: "user", Password: credential.NewSecret(password)}
}

// checkLogin checks a login for team/app:v1.
func checkLogin(t *testing.T, c Checker, host string, login *kubelet.Auth) []Result {
	t.Helper()
	results, err := c.Check(t.Context(), host+"/team/app:v1", login)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		for _, stage := range result.Stages {
			if text := stage.Detail; strings.Contains(text, password) || strings.Contains(text, "token-of") || strings.Contains(text, "\n") {
				t.Errorf("%s tells a secret, or several lines: %q", stage.Name, text)
			}
		}
	}
	return results
}

func stages(r Result) string {
	var b strings.Builder
	for _, stage := range r.Stages {
		mark := ""
		if !stage.OK {
			mark = "!"
		}
		b.WriteString(mark + stage.Name + " ")
	}
	return strings.TrimSpace(b.String())
}

func TestLogins(t *testing.T) {
	const unlike = `{"schemaVersion":2,"manifests":[{"platform":{"os":"linux","architecture":"s390x"},"digest":"` + digest + `","mediaType":"` + manifest + `","size":1},{"platform":{"os":"unknown","architecture":"unknown"},"digest":"` + digest + `","mediaType":"` + manifest + `","size":1}]}`
	for _, test := range []struct {
		name         string
		change       func(*fakeRegistry)
		login        *kubelet.Auth
		stages, says string
	}{
		{"a token", nil, user(), "connect challenge token manifest", "for 5m0s"},
		{"a password itself", func(r *fakeRegistry) { r.challenge = `Basic realm="x"` }, user(), "connect challenge manifest", "basic realm=x"},
		{"nobody needs one", func(r *fakeRegistry) { r.challenge = "" }, user(), "connect challenge manifest", "no login wanted"},
		{"the wrong password", func(r *fakeRegistry) { r.token, r.says = 401, "bad user" }, user(), "connect challenge !token", "does not take this login: it has expired, or is for another registry or account [status 401: DENIED bad user]"},
		{"an old password", func(r *fakeRegistry) { r.token, r.says = 401, "Token Expired" }, user(), "connect challenge !token", "this login, which has expired [status 401"},
		{"an old login, as ECR says it", func(r *fakeRegistry) {
			r.manifest, r.says = 403, "Your authorization token has expired. Reauthenticate and try again."
		}, user(), "connect challenge token !manifest", "the login has expired [status 403: DENIED Your authorization token"},
		{"no password", func(r *fakeRegistry) { r.token = 403 }, nil, "connect challenge !token", "the repository is private or does not exist"},
		{"no password, and a token", nil, nil, "connect challenge token !manifest", "the registry wants a login for team/app"},
		{"no password where one is sent itself", func(r *fakeRegistry) { r.challenge = `Basic realm="x"` }, nil, "connect challenge !token", "the registry wants a username and password"},
		{"another repository's", func(r *fakeRegistry) { r.manifest, r.says = 403, "no pull" }, user(), "connect challenge token !manifest", "the login may not pull team/app: grant it to the identity [status 403: DENIED no pull]"},
		{"no such tag", func(r *fakeRegistry) { r.manifest = 404 }, user(), "connect challenge token !manifest", "team/app:v1 is not there"},
		{"throttled", func(r *fakeRegistry) { r.manifest = 429 }, user(), "connect challenge token !manifest", "throttles requests"},
		{"broken", func(r *fakeRegistry) { r.manifest = 500 }, user(), "connect challenge token !manifest", "has a fault"},
		{"throttled at the token", func(r *fakeRegistry) { r.token = 429 }, user(), "connect challenge !token", "throttles requests"},
		{"nothing to go by", func(r *fakeRegistry) { r.challenge = "Digest realm=x" }, user(), "connect !challenge", "without a challenge that can be met"},
		{"another platform", func(r *fakeRegistry) { r.mediaType, r.body = index, unlike }, user(), "connect challenge token manifest !platform", "the image is not for linux/amd64: it is for linux/s390x"},
		{"this platform", func(r *fakeRegistry) { r.mediaType, r.body = index, strings.ReplaceAll(unlike, "s390x", "amd64") }, user(), "connect challenge token manifest platform", "linux/amd64"},
		{"an index that is none", func(r *fakeRegistry) { r.mediaType, r.body = index, "x" }, user(), "connect challenge token manifest !platform", "index cannot be read"},
		{"an index without end", func(r *fakeRegistry) { r.mediaType, r.body = index, strings.Repeat(" ", maxBody+1) }, user(), "connect challenge token manifest !platform", "more than 4 MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, false)
			if test.change != nil {
				test.change(r)
			}
			results := checkLogin(t, Checker{Platform: "linux/amd64"}, r.host(), test.login)
			result := results[0]
			ok := !strings.Contains(test.stages, "!")
			if got := stages(result); got != test.stages || result.OK != ok || len(results) != 1 {
				t.Errorf("stages %q, %t; want %q", got, result.OK, test.stages)
			}
			if ok && result.Digest != digest {
				t.Errorf("digest %q", result.Digest)
			}
			if !slices.ContainsFunc(result.Stages, func(s Stage) bool { return strings.Contains(s.Detail, test.says) }) {
				t.Errorf("nothing says %q: %+v", test.says, result.Stages)
			}
		})
	}
}

func TestWays(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	results := checkLogin(t, Checker{}, closed.Addr().String(), nil)
	if got := stages(results[0]); got != "!connect" || !strings.Contains(results[0].Stages[0].Detail, "nothing listens at ") {
		t.Errorf("nothing there: %q, %+v", got, results[0].Stages)
	}
	results = checkLogin(t, Checker{}, "registry.invalid", nil)
	if got := stages(results[0]); got != "!dns" || !strings.Contains(results[0].Stages[0].Detail, "registry.invalid") {
		t.Errorf("no name: %q, %+v", got, results[0].Stages)
	}
	// What is on the node needs no certificate that is known.
	if r := start(t, true); !checkLogin(t, Checker{}, r.host(), user())[0].OK {
		t.Error("a local registry with a certificate of its own is refused")
	}
	if _, err := (Checker{}).Check(t.Context(), "UPPER/case", nil); err == nil {
		t.Error("an image that is none")
	}
}

// A registry that sends a client elsewhere does not send its login along, not
// even to another port of the same host.
func TestRedirectsGetNoLogin(t *testing.T) {
	for _, login := range []string{`Basic realm="x"`, ""} {
		other, r := start(t, false), start(t, false)
		var got []string
		other.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			got = append(got, request.Header.Get("Authorization"))
			w.WriteHeader(http.StatusForbidden)
		})
		if login != "" {
			r.challenge = login
		}
		r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if strings.HasPrefix(request.URL.Path, "/v2/") && request.Header.Get("Authorization") != "" {
				http.Redirect(w, request, other.URL+"/elsewhere", http.StatusTemporaryRedirect)
				return
			}
			r.ServeHTTP(w, request)
		})
		result := checkLogin(t, Checker{}, r.host(), user())[0]
		if result.OK || len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return s != "" }) {
			t.Errorf("challenge %q: %t, %q was sent elsewhere", r.challenge, result.OK, got)
		}
	}
}

// What a registry puts into its challenge is neither trusted nor shown with a
// password in it.
func TestRealms(t *testing.T) {
	for realm, says := range map[string]string{
		"http://[::1":               "no address of a token service",
		"token":                     "no address of a token service",
		"file:///etc/shadow":        "no address of a token service",
		"ftp://auth.invalid/token":  "a login is not sent to the token service that the registry names: invalid realm",
		"http://10.0.0.1:1/token":   "a login is not sent to the token service that the registry names: invalid realm",
		"http://x:pass99@HOST/none": "bearer realm=http://x:[redacted]@",
	} {
		r := start(t, false)
		r.challenge = `Bearer realm="` + strings.ReplaceAll(realm, "HOST", r.host()) + `"`
		result := checkLogin(t, Checker{}, r.host(), user())[0]
		var told strings.Builder
		for _, stage := range result.Stages {
			told.WriteString(stage.Detail + "\n")
		}
		if !strings.Contains(told.String(), says) || strings.Contains(told.String(), "pass99") || result.OK {
			t.Errorf("realm %s: want %q in %q", realm, says, told.String())
		}
	}
}

func TestMirrors(t *testing.T) {
	mirror, origin, secure := start(t, false), start(t, false), start(t, true)
	dir := t.TempDir()
	write := func(registry, text string) {
		t.Helper()
		path := filepath.Join(dir, registry, "hosts.toml")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := Checker{Hosts: Hosts{Dirs: []string{filepath.Join(dir, "none"), dir}}}
	write("registry.example.com", fmt.Sprintf(`# a mirror
server = %q # the registry

[host."%s/proxy"]
  capabilities = ["pull", "resolve"]
  override_path = true
  [host."%s/proxy".header]
    x = ["y"]
[host.'https://push.example.com']
  capabilities = ["push"]
`, origin.URL, mirror.URL, mirror.URL))

	results := checkLogin(t, c, "registry.example.com", user())
	if len(results) != 1 || !results[0].OK || !results[0].Endpoint.Mirror {
		t.Errorf("results %+v", results)
	}
	if want := "HEAD /proxy/team/app/manifests/v1?ns=registry.example.com"; !slices.Contains(mirror.asked, want) {
		t.Errorf("the mirror was asked %q; want %q", mirror.asked, want)
	}
	mirror.manifest = 404
	results = checkLogin(t, c, "registry.example.com", user())
	if len(results) != 2 || results[0].OK || !results[1].OK {
		t.Errorf("results %+v", results)
	}

	// A certificate is verified, unless the configuration says otherwise.
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for lines, ok := range map[string]bool{"": false, "ca = \"../ca.pem\"": true, "ca = [\"" + ca + "\"]": true, "skip_verify = true": true, "ca = \"gone.pem\"": false} {
		write("secure.example.com", fmt.Sprintf("[host.%q]\n%s\n", secure.URL, lines))
		if results := checkLogin(t, c, "secure.example.com", user()); results[0].OK != ok {
			t.Errorf("%q: %+v", lines, results[0].Stages)
		}
	}
	for text, want := range map[string]string{"server = \"ftp://x\"": "line 1: a server", "\n[host.\"\"]": "line 2: a server"} {
		write("bad.example.com", text)
		if _, err := c.Check(t.Context(), "bad.example.com/x", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

func TestEndpointsOfNames(t *testing.T) {
	for registry, want := range map[string]string{
		"docker.io":           "https://registry-1.docker.io",
		"registry.example":    "https://registry.example",
		"localhost:5000":      "https://localhost:5000",
		"registry.example:80": "http://registry.example:80",
	} {
		endpoints, from, err := Hosts{}.Endpoints(registry)
		if err != nil || from != "" || len(endpoints) != 1 || endpoints[0].String() != want {
			t.Errorf("%s: %v, %q, %v; want %s", registry, endpoints, from, err, want)
		}
	}
}

func TestChallenges(t *testing.T) {
	for _, test := range []struct {
		headers []string
		want    string
	}{
		{[]string{`Bearer realm="https://a/t?x=1,2",service="s",scope="repository:a/b:pull,push"`}, "bearer realm=https://a/t?x=1,2 service=s scope=repository:a/b:pull,push"},
		{[]string{`Basic realm="a", Bearer realm=b`}, "bearer realm=b"},
		{[]string{`Negotiate`, `NTLM`, `basic realm="a \"b\""`}, `basic realm=a "b"`},
		{[]string{`Bearer service="no realm"`, `BASIC realm=x`}, "basic realm=x"},
		{[]string{`Negotiate YWJj==`, ``, `=,="`}, ""},
		{nil, ""},
	} {
		got := ""
		if challenge, ok := choose(test.headers); ok {
			got = describe(challenge)
		}
		if got != test.want {
			t.Errorf("%q: %q; want %q", test.headers, got, test.want)
		}
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a/t",service="s", Basic realm=x`)
	f.Fuzz(func(_ *testing.T, header string) { parseChallenges(header) })
}

func FuzzHosts(f *testing.F) {
	f.Add("server = \"https://a\"\n[host.\"http://b\"]\n  capabilities = [\"pull\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		endpoints, err := parseHosts("registry.example", "/", []byte(text))
		if err == nil && len(endpoints) == 0 {
			t.Error("nobody is asked")
		}
	})
}

// The proxy is the container runtime's.
func TestRegistriesAreAskedThroughTheProxyThatWasGiven(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	asked := ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		asked = request.URL.Host
		http.Error(w, "not from here", http.StatusForbidden)
	}))
	defer proxy.Close()
	through, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "registry.example.com"), 0o755); err != nil {
		t.Fatal(err)
	}
	hosts := "server = \"http://registry.example.com\"\n"
	if err := os.WriteFile(filepath.Join(dir, "registry.example.com", "hosts.toml"), []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	c := Checker{Hosts: Hosts{Dirs: []string{dir}}, WayOnly: true, Proxy: func(*url.URL) (*url.URL, error) { return through, nil }}
	results, err := c.Check(t.Context(), "registry.example.com/app", nil)
	if err != nil || asked != "registry.example.com" || !strings.Contains(results[0].Stages[0].Detail, "left to the proxy "+proxy.URL) {
		t.Errorf("asked %q, %+v, %v", asked, results, err)
	}
}
