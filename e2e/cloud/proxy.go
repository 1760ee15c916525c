package cloud

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// ServeProxy runs a forward proxy for HTTP and HTTPS, such as HTTP_PROXY and
// HTTPS_PROXY name. What it was asked for is journalled as service "proxy":
// operation "CONNECT" for a tunnel and the method for a plain request, with
// the host and port asked for as the host.
func (c *Cloud) ServeProxy(at netip.AddrPort) error {
	transport := &http.Transport{
		Proxy:             nil,
		DisableKeepAlives: true,
		DialContext:       func(_ context.Context, _, address string) (net.Conn, error) { return c.Dial(address) },
	}
	return c.Serve(at, &proxy{cloud: c, transport: transport})
}

// Dial connects to a host and port as a program on the machine does.
func (c *Cloud) Dial(address string) (connection net.Conn, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ip, err := c.hosts.find(host)
	if err != nil {
		return nil, err
	}
	err = c.thread.do(func() error {
		connection, err = net.DialTimeout("tcp", net.JoinHostPort(ip.String(), port), 5*time.Second)
		return err
	})
	return connection, err
}

// ServeRefusingProxy runs a proxy that refuses everybody with a status, such as
// 407 for who has not logged in.
func (c *Cloud) ServeRefusingProxy(at netip.AddrPort, status int) error {
	return c.Serve(at, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.Calls.open(Call{Service: "proxy", Operation: r.Method, Host: r.Host}).answered(status)
		if status == http.StatusProxyAuthRequired {
			w.Header().Set("Proxy-Authenticate", "Basic")
		}
		w.WriteHeader(status)
	}))
}

type proxy struct {
	cloud     *Cloud
	transport http.RoundTripper
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect && !r.URL.IsAbs() {
		p.cloud.Calls.violate("proxy", r.Host, "asked as if it were a server")
		http.Error(w, "this is a proxy", http.StatusBadRequest)
		return
	}
	record := p.cloud.Calls.open(Call{Service: "proxy", Operation: r.Method, Host: r.Host})
	x := &Exchange{ResponseWriter: w, record: record}
	if r.Method == http.MethodConnect {
		p.tunnel(x, r)
		return
	}
	p.forward(x, r)
}

// forward asks for a plain request's URL and copies the answer.
func (p *proxy) forward(x *Exchange, r *http.Request) {
	onward := r.Clone(r.Context())
	onward.RequestURI = "" // refused in a client's request
	onward.Header.Del("Proxy-Connection")
	answer, err := p.transport.RoundTrip(onward)
	if err != nil {
		http.Error(x, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		x.Header()[name] = values
	}
	x.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(x, answer.Body) // either side may leave
}

// tunnel connects the client to a host and port until either side closes.
func (p *proxy) tunnel(x *Exchange, r *http.Request) {
	server, err := p.cloud.Dial(r.Host)
	if err != nil {
		http.Error(x, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	x.record.answered(http.StatusOK)
	client, early, err := http.NewResponseController(x).Hijack()
	if err != nil {
		http.Error(x, err.Error(), http.StatusInternalServerError)
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var copying sync.WaitGroup
	copying.Go(func() { pour(server, early) })
	copying.Go(func() { pour(client, server) })
	copying.Wait()
}

// pour copies until the source ends, and passes that end on.
func pour(into net.Conn, from io.Reader) {
	_, _ = io.Copy(into, from) // either side may leave
	if stream, ok := into.(*net.TCPConn); ok {
		_ = stream.CloseWrite()
	}
}
