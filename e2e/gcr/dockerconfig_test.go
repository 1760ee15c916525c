package gcr_test

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

const mirror = "mirror.example.com"

var (
	configFlow = []string{"--authFlow=dockercfg"}
	urlFlow    = []string{"-a", "dockercfg-url"}
)

// withAttribute gives the instance an attribute.
func (n *node) withAttribute(name, value string) {
	n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Attributes = map[string]string{name: value} })
}

// wantLogin fails the test unless the answer is this user and password for the
// registry, for the image alone: there may be another for the next.
func (a answer) wantLogin(registry, username, password string) {
	t := a.node.T
	t.Helper()
	response, keep := a.Response()
	if a.Stderr != "" {
		t.Errorf("stderr: %s", a.Stderr)
	}
	if response.CacheKeyType != credentialprovider.ImagePluginCacheKeyType {
		t.Errorf("cacheKeyType %q, want Image", response.CacheKeyType)
	}
	login, ok := response.Auth[registry]
	if !ok || len(response.Auth) != 1 {
		t.Fatalf("auth for %d registries, want it for %s", len(response.Auth), registry)
	}
	if login.Username != username || login.Password != password {
		t.Errorf("login %q, %q, want %q, %q", login.Username, login.Password, username, password)
	}
	if keep > 5*time.Minute {
		t.Errorf("the kubelet keeps for %s what has no expiry", keep)
	}
}

// wantPublic fails the test unless the answer is to pull without a login.
func (a answer) wantPublic() {
	a.node.T.Helper()
	response, _ := a.Response()
	if len(response.Auth) != 0 {
		a.node.T.Errorf("auth for %d registries, want none", len(response.Auth))
	}
}

func base64Login(login string) string { return base64.StdEncoding.EncodeToString([]byte(login)) }

// The attribute is a .dockercfg as docker wrote it until 2015, or a
// config.json as it writes it since.
func TestTheDockerConfigurationOfTheInstance(t *testing.T) {
	t.Parallel()
	padded := base64Login("user:pass")
	for name, test := range map[string]struct{ document, image, username, password string }{
		"host":                   {`{"` + mirror + `":{"auth":"` + padded + `"}}`, mirror + "/team/app", "user", "pass"},
		"URL":                    {`{"https://` + mirror + `":{"auth":"` + padded + `","email":"x@example.com"}}`, mirror + "/team/app", "user", "pass"},
		"URL of the first API":   {`{"https://` + mirror + `/v1/":{"auth":"` + padded + `"}}`, mirror + "/team/app", "user", "pass"},
		"wrapped":                {`{"auths":{"` + mirror + `":{"auth":"` + padded + `"}},"credsStore":"x"}`, mirror + "/team/app", "user", "pass"},
		"wrapped URL":            {`{"auths":{"https://` + mirror + `/v2/":{"auth":"` + padded + `"}}}`, mirror + "/team/app", "user", "pass"},
		"base64 without padding": {`{"` + mirror + `":{"auth":"` + strings.TrimRight(base64Login("user:passwd"), "=") + `"}}`, mirror + "/app", "user", "passwd"},
		"user and password":      {`{"` + mirror + `":{"username":"user","password":"pass"}}`, mirror + "/app", "user", "pass"},
		"auth before them":       {`{"` + mirror + `":{"auth":"` + padded + `","username":"other","password":"other"}}`, mirror + "/app", "user", "pass"},
		"password with a colon":  {`{"` + mirror + `":{"auth":"` + base64Login("user:pa:ss") + `"}}`, mirror + "/app", "user", "pa:ss"},
		"port":                   {`{"` + mirror + `:5000":{"auth":"` + padded + `"}}`, mirror + ":5000/app", "user", "pass"},
		"pattern":                {`{"*.example.com":{"auth":"` + padded + `"}}`, mirror + "/app", "user", "pass"},
		"path":                   {`{"` + mirror + `/team":{"auth":"` + padded + `"},"` + mirror + `":{"auth":"` + base64Login("a:b") + `"}}`, mirror + "/team/app", "user", "pass"},
		"host before pattern":    {`{"*.example.com":{"auth":"` + base64Login("a:b") + `"},"` + mirror + `":{"auth":"` + padded + `"}}`, mirror + "/app", "user", "pass"},
		"Docker Hub":             {`{"https://index.docker.io/v1/":{"auth":"` + padded + `"}}`, "docker.io/library/nginx", "user", "pass"},
		"a registry of Google's": {`{"https://gcr.io":{"auth":"` + base64Login("_json_key:x") + `"}}`, "gcr.io/project/app", "_json_key", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, _, _ := strings.Cut(test.image, "/")
			n := bootNode(t)
			n.withAttribute("google-dockercfg", test.document)
			q := question{Image: test.image, Args: configFlow}
			n.ask(q).wantLogin(host, test.username, test.password)
			n.WantCalls(askAttribute)
			n.ask(q).wantLogin(host, test.username, test.password)
			n.WantCalls()
		})
	}
}

func TestWhatTheDockerConfigurationDoesNotNameIsPulledAnonymously(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.withAttribute("google-dockercfg", `{"auths":{"`+mirror+`/team":{"auth":"`+base64Login("user:pass")+`"}}}`)
	for _, image := range []string{"other.example.com/team/app", mirror + "/team-b/app", mirror + "/app", mirror + ".evil.com/team/app", "auths/app", "gcr.io/project/app"} {
		n.ask(question{Image: image, Args: configFlow}).wantPublic()
	}
	n.ask(question{Image: mirror + "/team/app", Args: configFlow}).wantLogin(mirror, "user", "pass")
	n.WantCalls(askAttribute)
}

// Without the flag the attribute is not even read: it would make a root
// process on every node do what whoever sets attributes wants.
func TestTheDockerConfigurationIsOffByDefault(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.withAttribute("google-dockercfg", `{"`+mirror+`":{"auth":"`+base64Login("user:pass")+`"}}`)
	n.ask(question{Image: mirror + "/app"}).wantNothing()
	n.ask(question{Image: registry + "/p/r/app"}).wantCredential(registry, gcp.Account(nodeAccount))
	n.WantCalls(askMetadata)
}

// The plugin of kubernetes/cloud-provider-gcp says nothing of any of this.
func TestADockerConfigurationOfNoUseIsAFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare func(*node)
		says    []string
	}{
		{"no attribute", func(*node) {}, []string{"google-dockercfg", "no attribute"}},
		{"empty", func(n *node) { n.withAttribute("google-dockercfg", "") }, []string{"google-dockercfg"}},
		{"not JSON", func(n *node) { n.withAttribute("google-dockercfg", "{") }, []string{"google-dockercfg"}},
		{"a list", func(n *node) { n.withAttribute("google-dockercfg", "[]") }, []string{"google-dockercfg"}},
		{"not base64", func(n *node) { n.withAttribute("google-dockercfg", `{"`+mirror+`":{"auth":"%%%"}}`) }, []string{"google-dockercfg", "base64"}},
		{"no password", func(n *node) {
			n.withAttribute("google-dockercfg", `{"`+mirror+`":{"auth":"`+base64Login("user:")+`"}}`)
		}, []string{"google-dockercfg", "password"}},
		{"no login", func(n *node) { n.withAttribute("google-dockercfg", `{"`+mirror+`":{}}`) }, []string{"google-dockercfg", "password"}},
		{"server out of order", struck("metadata", cloud.Refusal{Status: http.StatusServiceUnavailable}), []string{"status 503"}},
		{"server turned off", configured(func(s *gcp.Settings) { s.Metadata.Disabled = true }), []string{"status 403"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			test.prepare(n)
			q := question{Image: mirror + "/app", Args: configFlow}
			n.ask(q).WantFailure(1, append(test.says, mirror+": ")...)
			n.WantRecorded(cloudtest.Question(q), test.says...)
		})
	}
}

// serveDocument serves a docker configuration, in the clear too, and counts the
// questions, none of which may carry what is for the metadata server.
func (n *node) serveDocument(document string) (asked *int) {
	n.T.Helper()
	asked = new(int)
	address := netip.MustParseAddr("192.0.2.30")
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked++
		if r.Header.Get("Metadata-Flavor") != "" || r.Header.Get("Authorization") != "" {
			n.T.Errorf("asked with %v", r.Header)
		}
		_, _ = w.Write([]byte(document))
	})
	if err := n.Cloud.ServeTLS(address, handler, "config.example.com"); err != nil {
		n.T.Fatal(err)
	}
	if err := n.Cloud.Serve(netip.AddrPortFrom(address, 80), handler); err != nil {
		n.T.Fatal(err)
	}
	return asked
}

func TestTheDockerConfigurationAtAnAddress(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	asked := n.serveDocument(`{"auths":{"https://` + mirror + `":{"auth":"` + base64Login("user:pass") + `"}}}`)
	n.withAttribute("google-dockercfg-url", "https://config.example.com/dockercfg\n")
	for range 2 {
		n.ask(question{Image: mirror + "/app", Args: urlFlow}).wantLogin(mirror, "user", "pass")
	}
	n.WantCalls(askAttribute)
	if *asked != 1 {
		t.Errorf("the document was asked for %d times, want 1", *asked)
	}
}

// The address is an instance attribute's. It is followed over TLS, or to the
// metadata server itself, and nowhere else.
func TestAnAddressThatIsNotFollowed(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"in the clear":      "http://config.example.com/dockercfg",
		"a file":            "file:///etc/shadow",
		"another scheme":    "ftp://config.example.com/dockercfg",
		"no scheme":         "config.example.com/dockercfg",
		"an address nearby": "http://192.0.2.30/dockercfg",
		"nothing":           "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			asked := n.serveDocument("{}")
			n.withAttribute("google-dockercfg-url", address)
			n.ask(question{Image: mirror + "/app", Args: urlFlow}).WantFailure(1, "google-dockercfg-url")
			n.WantCalls(askAttribute)
			if *asked != 0 {
				t.Error("it was followed")
			}
		})
	}
	t.Run("a host that does not exist", func(t *testing.T) {
		t.Parallel()
		n := bootNode(t)
		n.withAttribute("google-dockercfg-url", "https://gone.example.com/dockercfg")
		n.ask(question{Image: mirror + "/app", Args: urlFlow}).WantFailure(1, "gone.example.com", "no such host")
	})
}

// The document that a server on the node's own link has may come in the clear,
// and does not come through a proxy.
func TestADockerConfigurationOnTheNodesOwnLink(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	document := `{"` + mirror + `":{"auth":"` + base64Login("user:pass") + `"}}`
	if err := n.Cloud.Serve(netip.MustParseAddrPort("169.254.1.1:80"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(document))
	})); err != nil {
		t.Fatal(err)
	}
	n.withAttribute("google-dockercfg-url", "http://169.254.1.1/dockercfg")
	n.ask(question{Image: mirror + "/app", Args: urlFlow, Env: []string{"HTTP_PROXY=http://192.0.2.3:3128"}}).wantLogin(mirror, "user", "pass")
	n.WantCalls(askAttribute)
}

// The configuration is the node's.
func TestADockerConfigurationIsNoPods(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.withAttribute("google-dockercfg", `{"`+mirror+`":{"auth":"`+base64Login("user:pass")+`"}}`)
	q := n.pod(shop, wifAudience, time.Hour).question(mirror+"/app", configFlow...)
	n.ask(q).WantFailure(1, "service account shop/web", "--node-fallback")
	n.WantCalls()
	q.Args = append(q.Args, "--node-fallback")
	n.ask(q).wantLogin(mirror, "user", "pass")
}
