package cloudhttp

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func tlsServer(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func bundle(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func certificateOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func TestExtraAuthorities(t *testing.T) {
	s := tlsServer(t, func(http.ResponseWriter, *http.Request) {})
	if _, err := New(Options{CAFile: bundle(t, certificateOf(s))}).API().Get(s.URL); err != nil {
		t.Errorf("with the bundle: %v", err)
	}
	if _, err := apiClient().Get(s.URL); err == nil {
		t.Error("without the bundle the server is trusted")
	}
	for name, file := range map[string]string{"absent": "/absent.pem", "not PEM": bundle(t, []byte("text")), "a device": os.DevNull} {
		_, err := New(Options{CAFile: file}).API().Get(s.URL)
		if err == nil || !strings.Contains(err.Error(), "certificate authorities: "+file+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A bundle that others may write would let them stand between.
func TestABundleThatOthersMayWriteIsRefused(t *testing.T) {
	s := tlsServer(t, func(http.ResponseWriter, *http.Request) {})
	file := bundle(t, certificateOf(s))
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{CAFile: file}).API().Get(s.URL); err == nil || !strings.Contains(err.Error(), "writable by others") {
		t.Errorf("got %v", err)
	}
}

func TestMetadataAddressesNeverMeetAProxy(t *testing.T) {
	c := New(Options{Metadata: []string{"fd00:ec2::/32", "fd20:ce::254", "metadata.google.internal"}})
	for host, want := range map[string]bool{
		"169.254.169.254": true, "169.254.170.23": true, "fd00:ec2::254": true, "fe80::1": true, "fd20:ce::254": true,
		"127.0.0.1": true, "::1": true, "localhost": true, "metadata.google.internal": true, "Metadata.Google.Internal.": true,
		"10.0.0.1": false, "api.ecr.us-east-1.amazonaws.com": false, "169.254.169.254.evil.com": false,
		"fd20:ce::255": false, "metadata.google.internal.evil.com": false,
	} {
		if got := c.IsMetadata(host); got != want {
			t.Errorf("IsMetadata(%s) = %t", host, got)
		}
	}
	if c.Metadata().Transport.(*retrier).next.(*http.Transport).Proxy != nil {
		t.Error("the metadata client has a proxy")
	}
	request, _ := http.NewRequest(http.MethodGet, "http://metadata.google.internal/", nil)
	c.options.Getenv = func(string) string { return "://" }
	if proxy, err := c.proxy(request); proxy != nil || err != nil {
		t.Errorf("the API client sends metadata to %v, %v", proxy, err)
	}
}

// Everything that is asked in a run shares connections.
func TestClientsAreMadeOnce(t *testing.T) {
	c := New(Options{})
	api, metadata := c.API(), c.Metadata()
	if c.API() != api || c.Metadata() != metadata {
		t.Error("a second client is made")
	}
}

func TestRouterPicksByAddress(t *testing.T) {
	picked := ""
	record := func(name string) func() *http.Client {
		return func() *http.Client {
			return &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				picked = name
				return answer(http.StatusOK), nil
			})}
		}
	}
	c := New(Options{Metadata: []string{"fd00:ec2::/32"}})
	c.metadata, c.api = record("metadata"), record("api")
	router := c.Router("X-Metadata-Token")
	for url, want := range map[string]string{
		"http://169.254.169.254/latest/api/token": "metadata",
		"http://[fd00:ec2::23]/v1/credentials":    "metadata",
		"https://sts.us-east-1.amazonaws.com/":    "api",
	} {
		request, _ := http.NewRequest(http.MethodGet, url, nil)
		if _, err := router.RoundTrip(request); err != nil || picked != want {
			t.Errorf("%s went through %s, %v", url, picked, err)
		}
	}
	request, _ := http.NewRequest(http.MethodGet, "http://imds.example.com/", nil)
	request.Header.Set("X-Metadata-Token", "x")
	if _, err := router.RoundTrip(request); err != nil || picked != "metadata" {
		t.Errorf("a marked request went through %s, %v", picked, err)
	}
}

// Whatever a URL names, one server is connected to, and it has to prove a name
// by one authority.
func TestAPinnedClientKnowsOneServer(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	s := tlsServer(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	address := s.Listener.Addr().String()
	trusted := x509.NewCertPool()
	trusted.AddCert(s.Certificate())
	for name, tc := range map[string]struct {
		serverName string
		roots      *x509.CertPool
		wantErr    string
	}{
		"its own":           {"example.com", trusted, ""},
		"another name":      {"elsewhere.test", trusted, "not elsewhere.test"},
		"another authority": {"example.com", x509.NewCertPool(), "unknown authority"},
	} {
		response, err := client(apiPolicy, pinnedTransport(address, tc.serverName, tc.roots)).Get("https://anything.test/")
		if tc.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if host, _ := io.ReadAll(response.Body); string(host) != "anything.test" {
			t.Errorf("%s: the server was asked for %s", name, host)
		}
	}
}

func TestAPinnedClientTrustsNothingElse(t *testing.T) {
	s := tlsServer(t, nil)
	c := New(Options{}).Pinned("[::1]:443", "example.com", bundle(t, certificateOf(s)))
	config := c.Transport.(*retrier).next.(*http.Transport).TLSClientConfig
	if config.ServerName != "example.com" || config.MinVersion != tls.VersionTLS12 || len(config.RootCAs.Subjects()) != 1 { //nolint:staticcheck // The pool is not the system's.
		t.Errorf("got %+v", config)
	}
	for name, file := range map[string]string{"without a file": "/absent.pem", "without a certificate": bundle(t, []byte("no certificate"))} {
		if _, err := New(Options{}).Pinned("10.0.0.1:443", "name", file).Get("https://name/"); err == nil || !strings.Contains(err.Error(), "certificate authorities: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
