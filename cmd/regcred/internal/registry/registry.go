// Package registry finds out whether a registry takes a login for an image, in
// the stages of a pull: its name, a connection, what it wants, a token, the
// manifest. Nothing is pulled.
package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/net/http/httpproxy"

	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
)

const (
	// timeout bounds what is asked of one endpoint.
	timeout = 30 * time.Second

	// maxBody bounds an answer: registries refuse larger manifests.
	maxBody = 4 << 20
)

// Stages of a check, in their order.
const (
	DNS       = "dns"
	Connect   = "connect"
	Challenge = "challenge"
	Token     = "token"
	Manifest  = "manifest"
	Platform  = "platform"
)

// Stage is what came of a part of a check.
type Stage struct {
	Name string
	OK   bool

	// Detail is what was seen, or why it failed and what to do. It is one line
	// without secrets.
	Detail string

	Duration time.Duration
}

// Result is what one endpoint says.
type Result struct {
	Endpoint Endpoint
	Stages   []Stage

	// OK says that the image can be pulled there.
	OK bool

	// Digest is the image's there.
	Digest string
}

// Failed returns the stage that failed, or nil.
func (r Result) Failed() *Stage {
	for i := range r.Stages {
		if !r.Stages[i].OK {
			return &r.Stages[i]
		}
	}
	return nil
}

// Checker checks logins.
type Checker struct {
	Hosts Hosts

	// Platform is os/architecture, or os/architecture/variant, which has to be
	// among an image's. Empty checks none.
	Platform string

	// Proxy is the proxy to a URL, or nil. Without it those of this process's
	// environment are used.
	Proxy func(*url.URL) (*url.URL, error)

	// WayOnly ends a check once a registry has answered, whatever it says: it is
	// asked for nothing but that it is one.
	WayOnly bool
}

// Check checks whether an image, as a pod has it, can be pulled with a login;
// nil is a pull without one. The endpoints are asked in the order of the container runtime, until one
// takes it. The error is of the image or of the runtime's configuration.
func (c Checker) Check(ctx context.Context, image string, login *kubelet.Auth) ([]Result, error) {
	reference, err := name.ParseReference(image, name.WeakValidation)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	registry := reference.Context().RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	endpoints, _, err := c.Hosts.Endpoints(registry)
	if err != nil {
		return nil, err
	}
	proxy := c.Proxy
	if proxy == nil {
		proxy = httpproxy.FromEnvironment().ProxyFunc()
	}
	var results []Result
	for _, endpoint := range endpoints {
		ck := &check{
			proxy: proxy, wayOnly: c.WayOnly, platform: c.Platform, endpoint: endpoint, login: login,
			namespace: registry, repository: reference.Context().RepositoryStr(), identifier: reference.Identifier(),
		}
		result := ck.run(ctx)
		results = append(results, result)
		if result.OK {
			break
		}
	}
	return results, nil
}

// check is one endpoint asked about one login.
type check struct {
	proxy      func(*url.URL) (*url.URL, error)
	wayOnly    bool
	platform   string
	endpoint   Endpoint
	login      *kubelet.Auth
	namespace  string // the registry as the image names it
	repository string
	identifier string // tag or digest

	client *http.Client
	seen   connection
	result Result
}

func (c *check) run(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c.result.Endpoint = c.endpoint
	c.result.OK = c.prepare() && c.lookup(ctx) && c.pull(ctx)
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
	return c.result
}

// stage records what came of a stage.
func (c *check) stage(name string, ok bool, began time.Time, format string, args ...any) bool {
	c.result.Stages = append(c.result.Stages, Stage{
		Name: name, OK: ok, Duration: time.Since(began),
		Detail: redact.Line(fmt.Sprintf(format, args...), credential.Known()...),
	})
	return ok
}

// prepare makes the client.
func (c *check) prepare() bool {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.endpoint.SkipVerify} //nolint:gosec // As the runtime is configured.
	for _, path := range c.endpoint.CA {
		text, err := file.ReadAny(path, maxHosts)
		if err != nil {
			return c.stage(Connect, false, time.Now(), "certificate authorities: %s: %s", path, err)
		}
		if config.RootCAs == nil {
			if config.RootCAs, err = x509.SystemCertPool(); err != nil {
				config.RootCAs = x509.NewCertPool()
			}
		}
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return c.stage(Connect, false, time.Now(), "certificate authorities: no PEM certificate in %s", path)
		}
	}
	c.client = &http.Client{Transport: &http.Transport{
		Proxy:                  func(r *http.Request) (*url.URL, error) { return c.proxy(r.URL) },
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		TLSClientConfig:        config,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}, CheckRedirect: keepLogin}
	return true
}

// keepLogin keeps the login from whoever a registry redirects to: net/http sends
// it on to every port and subdomain of the host, and without TLS.
func keepLogin(request *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("more than 10 redirects")
	}
	if from := via[0].URL; request.URL.Scheme != from.Scheme || request.URL.Host != from.Host {
		request.Header.Del("Authorization")
	}
	return nil
}
