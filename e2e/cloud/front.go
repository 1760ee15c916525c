package cloud

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// ServeTLS answers https://NAME/ for each name, at port 443 of ip. It adds
// the address and the names. Several handlers may share an address: a request
// goes to the handler of its server name, and one whose Host header says
// otherwise is answered 421 and kept as a violation.
func (c *Cloud) ServeTLS(ip netip.Addr, handler http.Handler, names ...string) error {
	if err := c.ServeTLSOf(c.Authority, ip, handler, names...); err != nil {
		return err
	}
	return c.AddHosts(ip, names...)
}

// ServeTLSOf is ServeTLS with certificates of another authority, which no
// program in the namespace trusts unasked, and with names that do not exist
// elsewhere than in those. All of an address have one authority.
func (c *Cloud) ServeTLSOf(authority *Authority, ip netip.Addr, handler http.Handler, names ...string) error {
	front, err := c.front(ip, authority)
	if err != nil {
		return err
	}
	if front.authority != authority {
		return fmt.Errorf("cloud: %s has certificates of another authority already", ip)
	}
	front.add(handler, names)
	return nil
}

// front returns the one front at an address, which it opens at first use.
func (c *Cloud) front(ip netip.Addr, authority *Authority) (*front, error) {
	c.mu.Lock()
	existing, ok := c.fronts[ip]
	c.mu.Unlock()
	if ok {
		return existing, nil
	}
	listener, err := c.listen(netip.AddrPortFrom(ip, 443))
	if err != nil {
		return nil, err
	}
	opened := &front{authority: authority, calls: c.Calls, handlers: map[string]http.Handler{}}
	c.mu.Lock()
	c.fronts[ip] = opened
	c.mu.Unlock()
	config := &tls.Config{GetCertificate: opened.certificate}
	if c.http2 {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	c.run(tls.NewListener(listener, config), opened)
	return opened, nil
}

// front is the TLS server of one address.
type front struct {
	authority *Authority
	calls     *Calls

	mu       sync.RWMutex
	handlers map[string]http.Handler // by lower-case name
}

func (f *front) add(handler http.Handler, names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		f.handlers[strings.ToLower(name)] = handler
	}
}

func (f *front) handler(name string) (http.Handler, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	handler, ok := f.handlers[strings.ToLower(name)]
	return handler, ok
}

func (f *front) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if _, ok := f.handler(hello.ServerName); !ok {
		f.calls.violate("tls", hello.ServerName, "no such server name")
		return nil, fmt.Errorf("cloud: no server named %q", hello.ServerName)
	}
	return f.authority.Certificate(strings.ToLower(hello.ServerName))
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if name, port, err := net.SplitHostPort(host); err == nil && port == "443" {
		host = name
	}
	handler, ok := f.handler(host)
	if !ok || !strings.EqualFold(host, r.TLS.ServerName) {
		f.calls.violate("tls", r.Host, fmt.Sprintf("host header does not belong to server name %q", r.TLS.ServerName))
		http.Error(w, "misdirected request", http.StatusMisdirectedRequest)
		return
	}
	handler.ServeHTTP(w, r)
}
