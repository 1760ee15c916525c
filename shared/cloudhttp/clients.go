// Package cloudhttp is the way to a cloud: HTTP clients for metadata services on
// the node's own link, for APIs across the network, and for one server that is
// known by its address; the call of a service, and what is wrong when it fails.
//
// No client follows a redirect, because requests carry tokens. All bound every
// attempt and every body, and retry what may pass by itself for as long as the
// request's context lets them. The package knows no cloud: what is particular
// to one comes from its plugin.
package cloudhttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/shared/file"
)

// Options say how a cloud is reached.
type Options struct {
	// CAFile names a PEM bundle of certificate authorities to trust besides the
	// system's. Empty adds none. It is read when an API is first asked.
	CAFile string

	// Getenv looks up the variables that name a proxy. Nil means that there is
	// none.
	Getenv func(string) string

	// Metadata are the hosts of the cloud's metadata services, each as an
	// address, a range of them or a name. Link-local and loopback addresses
	// are always taken for such.
	Metadata []string

	// Patience is what the metadata services document of themselves. The zero
	// value is none.
	Patience Patience
}

// Patience is how a service wants to be asked again.
type Patience struct {
	// Waits are the least waits after its first, second, and further answers
	// that say to try again. Each is lengthened by up to a quarter.
	Waits []time.Duration

	// Again reports whether an answer is worth another attempt, besides 429 and
	// statuses from 500. Nil means that no other is.
	Again func(Reply) bool
}

// Clients are the HTTP clients of one run. They are made when they are first
// used, and shared by everything that is asked in the run, so that a server
// that is asked twice is connected to once.
type Clients struct {
	options  Options
	prefixes []netip.Prefix
	names    []string

	metadata func() *http.Client
	api      func() *http.Client

	// through is Through's.
	through *http.Client
}

// New returns clients. It does no I/O.
func New(o Options) *Clients {
	c := &Clients{options: o}
	for _, host := range o.Metadata {
		if prefix, err := netip.ParsePrefix(host); err == nil {
			c.prefixes = append(c.prefixes, prefix)
		} else if address, err := netip.ParseAddr(host); err == nil {
			c.prefixes = append(c.prefixes, netip.PrefixFrom(address, address.BitLen()))
		} else {
			c.names = append(c.names, host)
		}
	}
	c.metadata = sync.OnceValue(func() *http.Client {
		return client(metadataPolicy.with(o.Patience), &http.Transport{
			DialContext:            (&net.Dialer{Timeout: metadataDial}).DialContext,
			MaxResponseHeaderBytes: maxHeader,
		})
	})
	c.api = sync.OnceValue(func() *http.Client {
		roots, err := roots(o.CAFile)
		if err != nil {
			return client(apiPolicy, broken{err})
		}
		transport := overTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})
		transport.Proxy = c.proxy
		transport.OnProxyConnectResponse = refusedByProxy
		return client(apiPolicy, transport)
	})
	return c
}

// Through returns clients that send every request through one transport, for
// tests of what is asked and of what is made of the answers.
func Through(transport http.RoundTripper) *Clients {
	c := New(Options{})
	c.through = &http.Client{Transport: transport, CheckRedirect: noRedirect}
	c.metadata = func() *http.Client { return c.through }
	c.api = c.metadata
	return c
}

// Metadata is the client for metadata services. It never uses a proxy, whatever
// the environment says: the proxy would be handed the node's credentials, or
// answer with its own.
func (c *Clients) Metadata() *http.Client { return c.metadata() }

// API is the client for a cloud's APIs: proxy from the environment, TLS 1.2 or
// newer, and the certificate authorities of the system and of CAFile. If that
// cannot be read, every request says so.
func (c *Clients) API() *http.Client { return c.api() }

// Pinned returns a client for one server, at HOST:PORT. Whatever a request's
// URL says, no other address is connected to, no proxy is used, and nothing is
// trusted but the certificate authorities of caFile and the name serverName.
func (c *Clients) Pinned(address, serverName, caFile string) *http.Client {
	if c.through != nil {
		return c.through
	}
	pool := x509.NewCertPool()
	if err := appendPEM(pool, caFile); err != nil {
		return client(apiPolicy, broken{err})
	}
	return client(apiPolicy, pinnedTransport(address, serverName, pool))
}

func pinnedTransport(address, serverName string, roots *x509.CertPool) *http.Transport {
	transport := overTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: serverName})
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, address)
	}
	return transport
}

const (
	// maxHeader and maxBody bound an answer. The largest answers that clouds
	// document are tokens of some kilobytes.
	maxHeader = 64 << 10
	maxBody   = 1 << 20

	// metadataDial bounds connecting to a metadata service: the node's own link
	// does not lose packets, so what is not connected at the kernel's second
	// try, after 1 s, will not be.
	metadataDial = 1500 * time.Millisecond

	// apiDial and apiHandshake bound connecting across a network.
	apiDial      = 5 * time.Second
	apiHandshake = 5 * time.Second
)

func overTLS(config *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: apiDial}).DialContext,
		TLSHandshakeTimeout:    apiHandshake,
		TLSClientConfig:        config,
		MaxResponseHeaderBytes: maxHeader,
		ForceAttemptHTTP2:      true,
	}
}

func client(p policy, transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: &retrier{policy: p, next: transport}, CheckRedirect: noRedirect}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// broken is the transport of a client that cannot be made.
type broken struct{ err error }

func (b broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, b.err }

// fileError is the error of a bundle of certificate authorities.
type fileError struct{ err error }

func (e fileError) Error() string { return "certificate authorities: " + e.err.Error() }
func (e fileError) Unwrap() error { return e.err }

// roots returns the system's certificate authorities with those of a file, or
// nil, which means the system's, for no file.
func roots(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	return pool, appendPEM(pool, caFile)
}

func appendPEM(pool *x509.CertPool, caFile string) error {
	bundle, err := file.Read(caFile)
	if err == nil && !pool.AppendCertsFromPEM(bundle) {
		err = errors.New("no PEM certificate in it")
	}
	if err != nil {
		return fileError{fmt.Errorf("%s: %w", caFile, err)}
	}
	return nil
}

// IsMetadata reports whether a host, without its port, is on the node's own
// link: link-local, loopback, or one that the cloud has a metadata service at.
func (c *Clients) IsMetadata(host string) bool {
	address, err := netip.ParseAddr(host)
	if err != nil {
		// A dot at its end keeps a name from being looked for in search domains.
		name := strings.TrimSuffix(strings.ToLower(host), ".")
		return name == "localhost" || slices.Contains(c.names, name)
	}
	return address.IsLinkLocalUnicast() || address.IsLoopback() ||
		slices.ContainsFunc(c.prefixes, func(p netip.Prefix) bool { return p.Contains(address) })
}

// Router is a client for an SDK that takes one client for everything: requests
// to metadata services go through Metadata, all others through API.
type Router struct {
	clients *Clients
	headers []string
}

// Router returns a Router. Headers mark a request to a metadata service
// wherever it goes: the service's address can be configured.
func (c *Clients) Router(headers ...string) Router { return Router{c, headers} }

// RoundTrip sends a request through the client that its address or its headers
// ask for.
func (r Router) RoundTrip(request *http.Request) (*http.Response, error) {
	metadata := r.clients.IsMetadata(request.URL.Hostname())
	for _, name := range r.headers {
		metadata = metadata || request.Header.Get(name) != ""
	}
	if metadata {
		return r.clients.Metadata().Transport.RoundTrip(request)
	}
	return r.clients.API().Transport.RoundTrip(request)
}
