package cloud

import (
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
	transport := &http.Transport{Proxy: nil, DisableKeepAlives: true}
	return c.Serve(at, &proxy{calls: c.Calls, transport: transport})
}

type proxy struct {
	calls     *Calls
	transport http.RoundTripper
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect && !r.URL.IsAbs() {
		p.calls.violate("proxy", r.Host, "asked as if it were a server")
		http.Error(w, "this is a proxy", http.StatusBadRequest)
		return
	}
	record := p.calls.open(Call{Service: "proxy", Operation: r.Method, Host: r.Host})
	x := &Exchange{ResponseWriter: w, record: record}
	if r.Method == http.MethodConnect {
		tunnel(x, r)
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
func tunnel(x *Exchange, r *http.Request) {
	server, err := net.DialTimeout("tcp", r.Host, 5*time.Second)
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
