package cloudhttp

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	apiService  = Service{Name: "the API"}
	nodeService = Service{Name: "the metadata service", Elsewhere: "off the cloud, set --credentials"}
)

// What answers in bytes that are no HTTP, or in headers without end, is there.
func TestWhatDoesNotSpeakHTTPIsSomethingElse(t *testing.T) {
	for name, written := range map[string]string{
		"another protocol":    "SSH-2.0-OpenSSH_9.6\r\n",
		"not HTTP":            "hello\r\n\r\n",
		"headers without end": "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 100),
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }()
			go func() {
				for {
					connection, err := listener.Accept()
					if err != nil {
						return
					}
					go func() {
						_, _ = http.ReadRequest(bufio.NewReader(connection))
						_, _ = io.WriteString(connection, written)
						time.Sleep(100 * time.Millisecond)
						_ = connection.Close()
					}()
				}
			}()
			clients := New(Options{})
			reply := Call{Stage: "stage", URL: "http://" + listener.Addr().String()}.Do(t.Context(), clients.Metadata())
			for _, service := range []Service{apiService, nodeService} {
				d, ok := reply.Diagnose(service)
				if !ok || !strings.Contains(d.Problem, "does not speak HTTP") || !strings.Contains(d.Advice, "something else may answer") {
					t.Errorf("%s: %+v of %v", service.Name, d, reply.Err)
				}
			}
		})
	}
}

// Each kind of fault on the way is told from every other, and what is advised
// is about that one.
func TestDiagnosisOfErrors(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for name, tc := range map[string]struct {
		err             error
		service         Service
		problem, advice string
		permanent       bool
	}{
		"no such name":          {dial(&net.DNSError{IsNotFound: true}), apiService, "api.test has no address in DNS", "private DNS zones", false},
		"no DNS":                {dial(&net.DNSError{IsTimeout: true}), apiService, "DNS does not answer for api.test", "resolv.conf", false},
		"refused":               {dial(syscall.ECONNREFUSED), apiService, "nothing listens at api.test:443", "firewall and proxy", false},
		"refused on the node":   {dial(syscall.ECONNREFUSED), nodeService, "or not yet", "off the cloud, set --credentials", false},
		"no route":              {dial(syscall.ENETUNREACH), apiService, "api.test cannot be reached", "route", false},
		"nothing on the node":   {dial(timeoutError{}), nodeService, "there is nothing at api.test:443", "off the cloud, set --credentials", true},
		"silent on the node":    {&SilenceError{Waiting, time.Second}, nodeService, "accepted the connection and did not answer", "next attempt", false},
		"silent":                {&SilenceError{Waiting, time.Second}, apiService, "accepted the connection and did not answer", "next attempt", false},
		"stalled":               {&SilenceError{Reading, time.Second}, apiService, "did not answer in time", "next attempt", false},
		"no handshake":          {&SilenceError{Handshake, time.Second}, apiService, "did not finish the TLS handshake", "firewall", false},
		"broke off":             {brokenOff{io.ErrUnexpectedEOF}, apiService, "broke off", "between the node and the API", false},
		"too large":             {ErrTooLarge, apiService, "larger than 1 MiB", "something else may answer in place of the API", false},
		"a proxy that forbids":  {proxyError{"proxy:3128", 403}, apiService, "the proxy proxy:3128 does not connect to api.test (status 403)", "NO_PROXY", true},
		"a proxy that asks who": {proxyError{"proxy:3128", 407}, apiService, "status 407", "user name and password", true},
		"a proxy with a fault":  {proxyError{"proxy:3128", 502}, apiService, "status 502", "check the proxy", false},
		"no way to the proxy":   {&net.OpError{Op: "proxyconnect", Err: dial(syscall.ECONNREFUSED)}, apiService, "the proxy cannot be reached", "HTTPS_PROXY", false},
		"a proxy that is none":  {proxyVariableError{"HTTPS_PROXY"}, apiService, "HTTPS_PROXY does not hold the URL of a proxy", "correct it", true},
		"a bundle":              {fileError{io.EOF}, apiService, "certificate authorities", "--ca-file", true},
		"a bundle by a flag":    {fileError{io.EOF}, Service{Name: "the server", CAFlag: "--its-ca"}, "certificate authorities", "correct --its-ca or the file", true},
		"a certificate for mail": {&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}}, apiService,
			"the certificate of api.test cannot be verified", "between the node and the API", true},
		"no time left":    {context.DeadlineExceeded, apiService, "no time was left to ask the API", "", false},
		"nor on the node": {context.DeadlineExceeded, nodeService, "no time was left to ask the metadata service", "", false},
		"stopped":         {context.Canceled, apiService, "stopped before the API answered", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := Reply{Host: "api.test:443", Err: tc.err}.Diagnose(tc.service)
			if !ok || !strings.Contains(got.Problem, tc.problem) || !strings.Contains(got.Advice, tc.advice) || got.Permanent != tc.permanent {
				t.Errorf("got %+v", got)
			}
			if (tc.advice == "") != (got.Advice == "") {
				t.Errorf("advises %q", got.Advice)
			}
		})
	}
}

func TestWhatBreaksOffCanBeReached(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, began := range []bool{false, true} {
			s := breaking(t, http2, func() bool { return true }, began)
			request, err := Call{URL: s.URL}.request(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = trusting(t, s).Transport.(*retrier).attempt(request, time.Minute)
			if d, ok := (Reply{Err: err}).Diagnose(apiService); !ok || !strings.Contains(d.Problem, "broke off") {
				t.Errorf("HTTP/2 %t, begun %t: %+v of %v", http2, began, d, err)
			}
		}
	}
}

func TestDiagnosisOfAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		status      int
		contentType string
		problem     string
		permanent   bool
	}{
		"throttled":   {429, "", "the API throttles requests", false},
		"fault":       {503, "text/html", "the API has a fault", false},
		"redirected":  {302, "", "api.test redirects elsewhere", true},
		"nonsense":    {200, "text/html", "the answer of api.test makes no sense", false},
		"a portal":    {403, "text/html; charset=utf-8", "api.test answers with a page for people", true},
		"its refusal": {403, "application/json", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			reply := Reply{Host: "api.test", Status: tc.status, Header: http.Header{"Content-Type": {tc.contentType}}}
			got, ok := reply.Diagnose(apiService)
			if ok != (tc.problem != "") || !strings.Contains(got.Problem, tc.problem) || got.Permanent != tc.permanent {
				t.Errorf("got %+v, %t", got, ok)
			}
		})
	}
}

// Every cloud has a metadata service at the same address.
func TestDiagnosisOfAnothersAnswers(t *testing.T) {
	service := nodeService
	service.Own = func(r Reply) bool { return r.Header.Get("Server") == "own" }
	for name, tc := range map[string]struct {
		status  int
		server  string
		problem string
	}{
		"another's page":    {404, "other", "what answers at 169.254.169.254 is not the metadata service"},
		"another's refusal": {401, "", "what answers at 169.254.169.254 is not the metadata service"},
		"its own":           {404, "own", ""},
		"throttled":         {429, "", "the metadata service throttles requests"},
		"a fault":           {500, "", "the metadata service has a fault"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := Reply{Host: "169.254.169.254", Status: tc.status, Header: http.Header{"Server": {tc.server}}}.Diagnose(service)
			if ok != (tc.problem != "") || got.Problem != tc.problem || strings.Contains(tc.problem, "is not") && (got.Advice != service.Elsewhere || !got.Permanent) {
				t.Errorf("got %+v, %t", got, ok)
			}
		})
	}
}

// certificate issues one for a name, by itself as authority, for a time.
func certificate(t *testing.T, name string, from, to time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// The real errors of real handshakes are told apart.
func TestDiagnosisOfCertificates(t *testing.T) {
	now := time.Now()
	plain := httptest.NewServer(nil)
	t.Cleanup(plain.Close)
	for name, tc := range map[string]struct {
		certificate     tls.Certificate
		trusted         bool
		problem, advice string
	}{
		"expired":       {certificate(t, "api.test", now.Add(-2*time.Hour), now.Add(-time.Hour)), true, "not valid at this node's time", "check the node's clock"},
		"not yet valid": {certificate(t, "api.test", now.Add(time.Hour), now.Add(2*time.Hour)), true, "not valid at this node's time", "check the node's clock"},
		"another name":  {certificate(t, "other.test", now.Add(-time.Hour), now.Add(time.Hour)), true, "no certificate for that name", "the name leads elsewhere"},
		"not trusted":   {certificate(t, "api.test", now.Add(-time.Hour), now.Add(time.Hour)), false, "an authority that this node does not trust", "--ca-file"},
		"not TLS":       {tls.Certificate{}, false, "does not speak TLS", "something else may answer"},
	} {
		t.Run(name, func(t *testing.T) {
			address := plain.Listener.Addr().String()
			roots := x509.NewCertPool()
			if tc.certificate.Leaf != nil {
				s := httptest.NewUnstartedServer(nil)
				s.TLS = &tls.Config{Certificates: []tls.Certificate{tc.certificate}}
				s.Config.ErrorLog = tlsServer(t, nil).Config.ErrorLog
				s.StartTLS()
				t.Cleanup(s.Close)
				address = s.Listener.Addr().String()
				if tc.trusted {
					roots.AddCert(tc.certificate.Leaf)
				}
			}
			reply := Call{Stage: "token", URL: "https://api.test/"}.Do(t.Context(), client(apiPolicy, pinnedTransport(address, "api.test", roots)))
			got, _ := reply.Diagnose(apiService)
			if !strings.Contains(got.Problem, tc.problem) || !strings.Contains(got.Advice, tc.advice) {
				t.Errorf("got %+v for %v", got, reply.Err)
			}
		})
	}
}

// A proxy's refusal is the proxy's, and names it.
func TestAProxyThatRefusesIsNamed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = fmt.Fprint(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
			_ = conn.Close()
		}
	}()
	c := New(Options{}).API()
	c.Transport.(*retrier).next.(*http.Transport).Proxy = func(*http.Request) (*url.URL, error) {
		return url.Parse("http://" + listener.Addr().String())
	}
	reply := Call{Stage: "token", URL: "https://api.test/"}.Do(t.Context(), c)
	got, _ := reply.Diagnose(apiService)
	if want := "the proxy " + listener.Addr().String() + " does not connect to api.test (status 403)"; got.Problem != want {
		t.Errorf("got %q, want %q", got.Problem, want)
	}
}

func TestAVariableThatNamesNoProxyIsAnError(t *testing.T) {
	for value, wantErr := range map[string]bool{
		"": false, "http://proxy:3128": false, "proxy:3128": false, "user:secret@proxy": false, "socks5://proxy": false,
		"http://[::1": true, "://": true, "http://": true, "http://pro xy:3128": true, "http://proxy:port": true,
	} {
		getenv := func(name string) string {
			if name == "https_proxy" {
				return value
			}
			return ""
		}
		if err := checkProxy(getenv, "https"); (err != nil) != wantErr || err != nil && !strings.Contains(err.Error(), "https_proxy") {
			t.Errorf("%q: got %v", value, err)
		}
		if err := checkProxy(getenv, "http"); err != nil {
			t.Errorf("%q is not for http: %v", value, err)
		}
	}
}

func TestFailureIsReadFromLeftToRight(t *testing.T) {
	reply := Reply{Stage: "exchange", Host: "registry.test", Status: 401, Header: http.Header{"Retry-After": {"7"}}}
	failure := reply.Failure(Diagnosis{"the registry refuses this identity", "grant it a role", true}, Said{"UNAUTHORIZED", "no", "request id 7"}, "the node")
	want := "the registry refuses this identity: grant it a role [exchange at registry.test: status 401 UNAUTHORIZED: no; request id 7; as the node]"
	if failure.Error() != want || !failure.Permanent || failure.RetryAfter != 7*time.Second {
		t.Errorf("got %+v: %s", failure, failure)
	}
	// A status of success is no news.
	reply = Reply{Stage: "token", Host: "api.test", Status: 200}
	if got := reply.Failure(Diagnosis{Problem: "p"}, Said{}, "").Error(); got != "p [token at api.test]" {
		t.Errorf("got %q", got)
	}
	// Nor what the problem says already.
	reply = Reply{Stage: "token", Host: "api.test", Err: fileError{io.EOF}}
	d, _ := reply.Diagnose(apiService)
	if got := reply.Failure(d, Said{}, "the node").Error(); got != "certificate authorities: EOF: correct --ca-file or the file [token at api.test; as the node]" {
		t.Errorf("got %q", got)
	}
}
