package registry

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/shared/cloudhttp"
)

// lookup looks the endpoint's name up, unless a proxy does.
func (c *check) lookup(ctx context.Context) bool {
	began := time.Now()
	host := c.endpoint.URL.Hostname()
	if proxy, err := c.proxy(c.endpoint.URL); err == nil && proxy != nil {
		return c.stage(DNS, true, began, "left to the proxy %s", proxy.Redacted())
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return c.stage(DNS, false, began, "%s", c.diagnose(err))
	}
	slices.Sort(addresses)
	return c.stage(DNS, true, began, "%s has %s", host, strings.Join(addresses[:min(len(addresses), 4)], ", "))
}

// diagnose says why an endpoint did not answer.
func (c *check) diagnose(err error) string {
	return diagnose(err, c.endpoint.URL.Host, "the registry")
}

func diagnose(err error, host, who string) string {
	reply := cloudhttp.Reply{Host: host, Err: err}
	d, _ := reply.Diagnose(cloudhttp.Service{Name: who, CAFlag: "the system's certificates, or ca in hosts.toml"})
	text := d.Problem
	if d.Advice != "" {
		text += ": " + d.Advice
	}
	return text + " [" + cloudhttp.Bounded(err.Error(), 200) + "]"
}

// connection is what is seen of a connection.
type connection struct {
	mu      sync.Mutex
	address string
	got     bool
	tls     tls.ConnectionState
}

func (s *connection) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.got, s.address = true, info.Conn.RemoteAddr().String()
		},
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if err == nil {
				s.tls = state
			}
		},
	}
}

// String says what the connection is.
func (s *connection) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tls.PeerCertificates) == 0 {
		return s.address + " without TLS"
	}
	certificate := s.tls.PeerCertificates[0]
	return fmt.Sprintf("%s, %s, certificate until %s", s.address, tls.VersionName(s.tls.Version), certificate.NotAfter.UTC().Format(time.DateOnly))
}
