// Package clients_test has clients of docker's credential helpers log in with
// docker-credential-regcred: those that are libraries, and skopeo where it is
// installed. Each does what it does on a node, with a registry that wants the
// password of the node's provider.
//
//	make build && go test -C e2e/clients -count=1 ./...
package clients_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"regcred/e2e/cloud/cloudtest"
)

const (
	user     = "node"
	password = "password-of-the-node"
)

// node is a machine with a provider for one registry, and the helper on the
// PATH.
type node struct {
	registry string // host and port, of an image team/app:v1
	open     string // another registry, for everybody, that no provider is for
	home     string // of docker's configuration
	trace    string // what the provider was asked for, one request a line
}

// newNode makes the node, and its environment this process's.
func newNode(t *testing.T) node {
	t.Helper()
	n := node{registry: serve(t, true), open: serve(t, false), home: t.TempDir()}
	n.trace = filepath.Join(n.home, "trace")
	bin := filepath.Join(n.home, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(cloudtest.Binary("regcred"), filepath.Join(bin, "docker-credential-regcred")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(bin, "provider"), 0o755, fmt.Sprintf(`#!/bin/sh
cat >> %s
printf '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"0s","auth":{"%s":{"username":"%s","password":"%s"}}}'
`, n.trace, n.registry, user, password))
	config := filepath.Join(n.home, "providers.yaml")
	write(t, config, 0o644, fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  defaultCacheDuration: "0s"
  matchImages: ["%s"]
`, n.registry))
	t.Setenv("REGCRED_CONFIG", config)
	t.Setenv("REGCRED_BIN_DIR", bin)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("HOME", n.home)
	t.Setenv("DOCKER_CONFIG", n.home)
	t.Setenv("XDG_RUNTIME_DIR", n.home)
	return n
}

func write(t *testing.T, path string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// serve starts a registry with an image, which wants a password or not.
func serve(t *testing.T, private bool) string {
	t.Helper()
	backend := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gotUser, gotPassword, _ := r.BasicAuth()
		if private && r.Header.Get("X-Push") == "" && (gotUser != user || gotPassword != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="team"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`, http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	reference, err := name.ParseReference(host + "/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference, empty.Image, remote.WithTransport(pusher{})); err != nil {
		t.Fatal(err)
	}
	return host
}

// pusher is who puts images into the registries.
type pusher struct{}

func (pusher) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Push", "yes")
	return http.DefaultTransport.RoundTrip(r)
}

// configure writes docker's configuration.
func (n node) configure(t *testing.T, text string) {
	t.Helper()
	write(t, filepath.Join(n.home, "config.json"), 0o600, text)
}

// credHelpers names the helper for registries.
func credHelpers(hosts ...string) string {
	var entries []string
	for _, host := range hosts {
		entries = append(entries, fmt.Sprintf("%q:%q", host, "regcred"))
	}
	return `{"credHelpers":{` + strings.Join(entries, ",") + `}}`
}

const credsStore = `{"credsStore":"regcred"}`

// asked is how often the provider was run.
func (n node) asked(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(n.trace)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "CredentialProviderRequest")
}
