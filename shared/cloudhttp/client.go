// Package cloudhttp holds the HTTP clients that talk to clouds: for metadata
// services on the node's own link, for APIs across the network, and for one
// server that is known by its address.
//
// None follows a redirect, because requests carry tokens. All bound every
// attempt and every body, and retry what may pass by itself for as long as the
// request's context lets them.
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
	"net/url"
	"os"
	"strings"
	"time"
)

// maxBody bounds a response's body. The largest answers that clouds document
// are tokens of some kilobytes.
const maxBody = 1 << 20

// metadata services answer in milliseconds or are not there, and the node's
// own link does not lose packets: a connection that is not made at the second
// try of the kernel (after 1 s) will not be made. GKE's, which has to ask
// others first, may take seconds while a node starts.
var metadata = policy{
	attempts: 4,
	timeout:  2 * time.Second,
	patience: 5 * time.Second,
	first:    100 * time.Millisecond,
	longest:  time.Second,
}

// azureMetadata keeps the waits that Azure documents for tokens of its metadata
// service: 404 and 410 are what it answers while it is being updated. A last
// wait of 30 s, or the 70 s that an update may take, are more than a pull can
// wait for; the next one finds out.
var azureMetadata = policy{
	attempts: 4,
	timeout:  2 * time.Second,
	patience: 5 * time.Second,
	first:    500 * time.Millisecond,
	longest:  2 * time.Second,
	waits:    []time.Duration{2 * time.Second, 6 * time.Second, 14 * time.Second},
	passing:  []int{http.StatusNotFound, http.StatusGone},
}

var api = policy{
	attempts: 4,
	timeout:  10 * time.Second,
	first:    200 * time.Millisecond,
	longest:  5 * time.Second,
}

// Metadata returns a client for a metadata service. It never uses a proxy,
// whatever the environment says: the proxy would be handed the node's
// credentials, or answer with its own.
func Metadata() *http.Client { return client(metadata, metadataTransport()) }

// AzureMetadata returns a client like Metadata's that has the patience of
// Azure's metadata service: it throttles for seconds, and is updated under way.
func AzureMetadata() *http.Client { return client(azureMetadata, metadataTransport()) }

func metadataTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 1500 * time.Millisecond}).DialContext,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// API returns a client for a cloud's APIs: proxy from the environment, TLS 1.2
// or newer, and the certificate authorities of the system and of caFile. An
// empty caFile adds none.
func API(caFile string) (*http.Client, error) {
	roots, err := roots(caFile)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                  proxy,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
	return client(api, transport), nil
}

// Pinned returns a client for one server at HTTPS's port of one address: an IP
// address, or a name that is looked up. Whatever a request's URL says, no other
// address is connected to, no proxy is used, and nothing is trusted but the
// certificate authorities of caFile and the name serverName.
func Pinned(address, serverName, caFile string) (*http.Client, error) {
	bundle, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("certificate authorities: %s holds no PEM certificate", caFile)
	}
	return client(api, pinnedTransport(net.JoinHostPort(strings.Trim(address, "[]"), "443"), serverName, pool)), nil
}

func pinnedTransport(address, serverName string, roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
		TLSHandshakeTimeout:    5 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: serverName},
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
}

func client(p policy, transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     &retrier{policy: p, next: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// roots returns the system's certificate authorities with those of a file, or
// nil, which means the system's, for no file.
func roots(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	bundle, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("certificate authorities: %s holds no PEM certificate", caFile)
	}
	return pool, nil
}

// proxy is the environment's, but never for the node's own link: Go exempts
// loopback addresses by itself, and not link-local ones.
func proxy(request *http.Request) (*url.URL, error) {
	if IsMetadata(request.URL.Hostname()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(request)
}

// IsMetadata reports whether a host is an address at which clouds put metadata
// services: link-local, loopback, or Amazon's fd00:ec2::/32.
func IsMetadata(host string) bool {
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost"
	}
	return address.IsLinkLocalUnicast() || address.IsLoopback() || amazonMetadata.Contains(address)
}

var amazonMetadata = netip.MustParsePrefix("fd00:ec2::/32")

// Router is a client for an SDK that takes one client for everything: requests
// to metadata services go through Metadata, all others through API.
type Router struct {
	Metadata, API *http.Client

	// Headers mark a request to a metadata service wherever it goes: the
	// service's address can be configured.
	Headers []string
}

// Do sends a request through the client that its address or its headers ask
// for.
func (r Router) Do(request *http.Request) (*http.Response, error) {
	return r.client(request).Do(request)
}

// RoundTrip is Do for an SDK that brings its own http.Client around it.
func (r Router) RoundTrip(request *http.Request) (*http.Response, error) {
	return r.client(request).Transport.RoundTrip(request)
}

func (r Router) client(request *http.Request) *http.Client {
	metadata := IsMetadata(request.URL.Hostname())
	for _, name := range r.Headers {
		metadata = metadata || request.Header.Get(name) != ""
	}
	if metadata {
		return r.Metadata
	}
	return r.API
}

// ErrTooLarge is the error of reading a body of more than 1 MiB.
var ErrTooLarge = errors.New("the answer is larger than 1 MiB")
