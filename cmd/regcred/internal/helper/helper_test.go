package helper

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/shared/dockerconfig"
	"regcred/shared/kubelet"
)

// The forms are what clients were recorded to write, and what their sources
// have: docker, go-containerregistry with credHelpers and with credsStore,
// oras-go, skopeo, nerdctl, buildkit.
func TestParseServer(t *testing.T) {
	for _, test := range []struct {
		url, host string
		names     string
	}{
		{"registry.example.com", "registry.example.com", "registry.example.com/regcred"},
		{"REGISTRY.example.com", "registry.example.com", "registry.example.com/regcred"},
		{"https://registry.example.com", "registry.example.com", "registry.example.com/regcred"},
		{"https://registry.example.com/", "registry.example.com", "registry.example.com/regcred"},
		{"https://registry.example.com/v1/", "registry.example.com", "registry.example.com/regcred"},
		{"https://registry.example.com/v2/", "registry.example.com", "registry.example.com/regcred"},
		{"registry.example.com/v2", "registry.example.com", "registry.example.com/regcred"},
		{"registry.example.com:443", "registry.example.com", "registry.example.com/regcred registry.example.com:443/regcred"},
		{"https://registry.example.com:443", "registry.example.com", "registry.example.com/regcred registry.example.com:443/regcred"},
		{"http://registry.example.com:443", "registry.example.com:443", "registry.example.com:443/regcred"},
		{"http://registry.example.com:80", "registry.example.com", "registry.example.com/regcred registry.example.com:80/regcred"},
		{"https://registry.example.com:80", "registry.example.com:80", "registry.example.com:80/regcred"},
		{"http://registry.example.com", "registry.example.com", "registry.example.com/regcred"},
		{"registry.example.com/team/app", "registry.example.com", "registry.example.com/team/app"},
		{"registry.example.com/team/app:v1", "registry.example.com", "registry.example.com/team/app"},
		{"https://registry.example.com/v2/team/app", "registry.example.com", "registry.example.com/team/app"},
		{"registry.example.com/Team", "registry.example.com", "registry.example.com/regcred"},
		{"registry.example.com/team?ns=x#y", "registry.example.com", "registry.example.com/team"},
		{"127.0.0.1:5999", "127.0.0.1:5999", "127.0.0.1:5999/regcred"},
		{"localhost", "localhost", "localhost/regcred"},
		{"[2001:db8::1]:5000", "[2001:db8::1]:5000", "[2001:db8::1]:5000/regcred"},
		{"https://index.docker.io/v1/", "docker.io", "docker.io/library/regcred"},
		{"index.docker.io/library/busybox", "docker.io", "docker.io/library/busybox"},
		{"docker.io", "docker.io", "docker.io/library/regcred"},
		{"docker.io:443", "docker.io", "docker.io/library/regcred"},
		{"registry-1.docker.io", "docker.io", "docker.io/library/regcred"},
		{"https://registry-1.docker.io:443/v2/", "docker.io", "docker.io/library/regcred"},
		// Hosts that are none to the kubelet, and what only looks like Hub.
		{"intranet", "intranet", ""},
		{"index.docker.io.evil.example", "index.docker.io.evil.example", "index.docker.io.evil.example/regcred"},
		{"oci:something", "oci:something", ""},
	} {
		s, err := parseServer(test.url)
		if got := strings.Join(s.names, " "); err != nil || s.host != test.host || got != test.names {
			t.Errorf("%s is %s (%s), %v; want %s (%s)", test.url, s.host, got, err, test.host, test.names)
		}
	}
	for _, url := range []string{"", "https://", "/v2/", "https:///x", "user@registry.example.com", "user:pass@registry.example.com/x", "a b", "evil.example\\@registry.example.com"} {
		if s, err := parseServer(url); err == nil {
			t.Errorf("%q is %v, want an error", url, s)
		}
	}
}

func FuzzParseServer(f *testing.F) {
	f.Add("https://index.docker.io/v1/")
	f.Add("http://[::1]:80/v2/a/b@sha256:x")
	f.Fuzz(func(t *testing.T, url string) {
		s, err := parseServer(url)
		if err != nil {
			return
		}
		for _, name := range s.names {
			host, _, _ := strings.Cut(name, "/")
			if host != s.host && withoutPort(host, "https") != s.host && withoutPort(host, "http") != s.host {
				t.Errorf("%q, whose host is %s, asks for %s", url, s.host, name)
			}
		}
	})
}

const configuration = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- {name: good, apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: "0s", matchImages: [good.example, "*.good.example", "port.example:443", docker.io]}
- {name: empty, apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: "0s", matchImages: [empty.example, both.example]}
- {name: nameless, apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: "0s", matchImages: [nameless.example]}
- {name: bad, apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: "0s", matchImages: [bad.example, mixed.example]}
- {name: late, apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: "0s", matchImages: [mixed.example]}
- name: pods
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  defaultCacheDuration: "0s"
  matchImages: [pods.example]
  tokenAttributes: {serviceAccountTokenAudience: a, cacheType: Token, requireServiceAccount: true}
`

// answering is a provider that answers with what it was asked for as user name.
func answering(auth string) string {
	return fmt.Sprintf(`#!/bin/sh
image=$(sed -n 's/.*"image":"\([^"]*\)".*/\1/p')
host=${image%%%%/*}
printf '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"0s","auth":%s}' "$host" "$image $REGCRED_DOCKER_CREDENTIAL"
`, auth)
}

func providers(t *testing.T) func() (Providers, error) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range map[string]string{
		"good":     answering(`{"%s":{"username":"%s","password":"correct horse"}}`),
		"late":     answering(`{"%s":{"username":"%s","password":"correct horse"}}`),
		"empty":    answering(`{}`),
		"nameless": answering(`{"%s":{"username":"%.0s","password":""}}`),
		"pods":     answering(`{}`),
		"bad":      "#!/bin/sh\necho \"bad.example: no identity attached: attach one\" >&2\nexit 1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config, err := kubelet.Parse("config.yaml", []byte(configuration))
	if err != nil {
		t.Fatal(err)
	}
	runner := kubelet.Runner{BinDir: dir, Environ: []string{"PATH=" + os.Getenv("PATH")}}
	return func() (Providers, error) { return Providers{config, runner}, nil }
}

func noProviders() (Providers, error) { return Providers{}, errors.New("no kubelet runs here") }

func TestHelper(t *testing.T) {
	t.Parallel()
	found := providers(t)
	for _, test := range []struct {
		name   string
		find   func() (Providers, error)
		action string
		stdin  string
		getenv map[string]string
		code   int
		stdout string
	}{
		{"get", found, "get", "good.example", nil, 0, `{"Secret":"correct horse","ServerURL":"good.example","Username":"good.example/regcred 1"}`},
		{"get with a line end", found, "get", "good.example\r\n", nil, 0, `{"Secret":"correct horse","ServerURL":"good.example","Username":"good.example/regcred 1"}`},
		{"get of a URL", found, "get", "https://a.good.example:443/v2/", nil, 0, `{"Secret":"correct horse","ServerURL":"https://a.good.example:443/v2/","Username":"a.good.example/regcred 1"}`},
		{"get of a repository", found, "get", "good.example/team/app", nil, 0, `{"Secret":"correct horse","ServerURL":"good.example/team/app","Username":"good.example/team/app 1"}`},
		{"get of what a provider has with a port", found, "get", "port.example:443", nil, 0, `{"Secret":"correct horse","ServerURL":"port.example:443","Username":"port.example:443/regcred 1"}`},
		{"get of Docker Hub", found, "get", "https://index.docker.io/v1/", nil, 0, `{"Secret":"correct horse","ServerURL":"https://index.docker.io/v1/","Username":"docker.io/library/regcred 1"}`},
		{"get of another's", found, "get", "other.example", nil, 1, "credentials not found in native keychain"},
		{"get of a look-alike", found, "get", "good.example.evil.example", nil, 1, "credentials not found in native keychain"},
		{"get of no registry", found, "get", "intranet", nil, 1, "credentials not found in native keychain"},
		{"get without a credential", found, "get", "empty.example", nil, 1, "credentials not found in native keychain"},
		{"get with an empty credential", found, "get", "nameless.example", nil, 1, "credentials not found in native keychain"},
		{"get of what is for pods", found, "get", "pods.example", nil, 1, "credentials not found in native keychain"},
		{"get that fails", found, "get", "bad.example", nil, 1, "bad.example: no identity attached: attach one"},
		{"get that fails in one provider of two", found, "get", "mixed.example", nil, 0, `{"Secret":"correct horse","ServerURL":"mixed.example","Username":"mixed.example/regcred 1"}`},
		{"get of nothing", found, "get", " \n", nil, 1, "no credentials server URL"},
		{"get of a login", found, "get", "user:secret@good.example", nil, 1, "no registry in the server URL"},
		{"get of too much", found, "get", strings.Repeat("a", 2<<20), nil, 1, "request on stdin larger than 1 MiB"},
		{"get on no node", noProviders, "get", "good.example", nil, 1, "good.example: no kubelet runs here"},
		{"get by a plugin's helper", noProviders, "get", "good.example", map[string]string{dockerconfig.InsideHelper: "docker-credential-x"}, 1, "good.example: a provider of this node runs docker-credential-regcred, which runs the providers: take it out of the docker configuration that the provider reads"},
		{"get in a circle", noProviders, "get", "good.example", map[string]string{Guard: "1"}, 1, "good.example: a provider of this node runs docker-credential-regcred, which runs the providers: take it out of the docker configuration that the provider reads"},
		{"list", noProviders, "list", "unused", nil, 0, "{}"},
		{"erase", noProviders, "erase", "good.example", nil, 0, ""},
		{"store", found, "store", `{"ServerURL":"https://good.example","Username":"u","Secret":"hunter2hunter2"}`, nil, 0, ""},
		{"store of another's", found, "store", `{"ServerURL":"other.example","Username":"u","Secret":"hunter2hunter2"}`, nil, 1, "other.example: no credential provider of this node is for it, and regcred stores no logins: remove credsStore from docker's configuration, and name regcred in credHelpers for the registries that providers are for"},
		{"store of garbage", found, "store", `hunter2hunter2`, nil, 1, "no login in JSON to store"},
		{"store of nobody's", found, "store", `{"Username":"u","Secret":"hunter2hunter2"}`, nil, 1, "no credentials server URL"},
		{"nonsense", noProviders, "login", "", nil, 1, "want one of get, store, erase, list and version as the only argument"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var stdout bytes.Buffer
			h := Helper{Stdin: strings.NewReader(test.stdin), Stdout: &stdout, Getenv: func(name string) string { return test.getenv[name] }, Find: test.find}
			code := h.Run(t.Context(), []string{test.action})
			want := test.stdout
			if want != "" {
				want += "\n"
			}
			if code != test.code || stdout.String() != want {
				t.Errorf("exit code %d, stdout\n%swant %d,\n%s", code, stdout.String(), test.code, want)
			}
		})
	}
}

func TestHelperTeaches(t *testing.T) {
	for _, test := range []struct{ argument, want string }{
		{"--help", "credHelpers"},
		{"version", "docker-credential-regcred devel"},
		{"--version", "docker-credential-regcred devel"},
	} {
		var stdout bytes.Buffer
		code := Helper{Stdin: strings.NewReader(""), Stdout: &stdout, Find: noProviders}.Run(t.Context(), []string{test.argument})
		if code != 0 || !strings.Contains(stdout.String(), test.want) {
			t.Errorf("%s: exit code %d, stdout %q; want %q in it", test.argument, code, stdout.String(), test.want)
		}
	}
}
