package cloudhttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// server answers with the statuses given, the last one for ever, and counts.
func server(t *testing.T, header http.Header, statuses ...int) (*httptest.Server, *atomic.Int32) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost && string(sent) != "form=1" {
			t.Errorf("attempt %d was sent body %q", calls.Load()+1, sent)
		}
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		n := int(calls.Add(1))
		w.WriteHeader(statuses[min(n, len(statuses))-1])
	}))
	t.Cleanup(s.Close)
	return s, &calls
}

func apiClient(t *testing.T) *http.Client {
	c, err := API("")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func post(ctx context.Context, t *testing.T, c *http.Client, url string) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("form=1"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err == nil {
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	return response, err
}

func TestRetries(t *testing.T) {
	for name, tc := range map[string]struct {
		statuses []int
		want     int
		calls    int32
	}{
		"success":                  {[]int{200}, 200, 1},
		"throttled once":           {[]int{429, 200}, 200, 2},
		"server errors":            {[]int{500, 503, 200}, 200, 3},
		"gives up":                 {[]int{503}, 503, 4},
		"bad request is permanent": {[]int{400, 200}, 400, 1},
		"forbidden is permanent":   {[]int{403, 200}, 403, 1},
		"redirect is not followed": {[]int{307, 200}, 307, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, calls := server(t, http.Header{"Location": {"/elsewhere"}}, tc.statuses...)
			response, err := post(t.Context(), t, apiClient(t), s.URL)
			if err != nil || response.StatusCode != tc.want || calls.Load() != tc.calls {
				t.Errorf("got %v, %v after %d calls; want %d after %d", response, err, calls.Load(), tc.want, tc.calls)
			}
		})
	}
}

// once hides that a body could be sent again, as SDKs do, and complains when it
// is used after it was closed.
type once struct {
	io.Reader
	closed atomic.Bool
}

func (o *once) Read(p []byte) (int, error) {
	if o.closed.Load() {
		return 0, errors.New("read after close")
	}
	return o.Reader.Read(p)
}

func (o *once) Close() error { o.closed.Store(true); return nil }

func TestStreamedBodiesAreSentAgain(t *testing.T) {
	s, calls := server(t, nil, 503, 429, 200)
	request, err := http.NewRequest(http.MethodPost, s.URL, &once{Reader: strings.NewReader("form=1")})
	if err != nil || request.GetBody != nil {
		t.Fatalf("the request is not what this test is about: %v", err)
	}
	response, err := apiClient(t).Do(request)
	if err != nil || response.StatusCode != http.StatusOK || calls.Load() != 3 {
		t.Errorf("got %v, %v after %d calls", response, err, calls.Load())
	}
}

func TestRetryAfterIsRespected(t *testing.T) {
	s, _ := server(t, http.Header{"Retry-After": {"1"}}, 429, 200)
	begin := time.Now()
	response, err := post(t.Context(), t, apiClient(t), s.URL)
	if err != nil || response.StatusCode != http.StatusOK || time.Since(begin) < time.Second {
		t.Errorf("got %v, %v after %s", response, err, time.Since(begin))
	}
}

func TestNoWaitPastTheBudget(t *testing.T) {
	s, calls := server(t, http.Header{"Retry-After": {"60"}}, 429)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	begin := time.Now()
	response, err := post(ctx, t, apiClient(t), s.URL)
	if err != nil || response.StatusCode != http.StatusTooManyRequests || calls.Load() != 1 || time.Since(begin) > 4*time.Second {
		t.Errorf("got %v, %v after %s and %d calls; want the 429 at once", response, err, time.Since(begin), calls.Load())
	}
}

func TestBrokenConnectionsAreRetried(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if calls.Add(1) < 3 {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	if response, err := post(t.Context(), t, apiClient(t), s.URL); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("got %v, %v", response, err)
	}
}

func TestRefusedConnectionsAreRetriedAndReported(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	if _, err := post(t.Context(), t, apiClient(t), "http://"+address); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}

func TestASilentServerCostsOneAttemptsTimeEach(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	c := client(policy{attempts: 3, timeout: 50 * time.Millisecond, first: time.Millisecond, longest: time.Millisecond}, &http.Transport{})
	_, err := c.Get(s.URL)
	if !errors.Is(err, context.DeadlineExceeded) || calls.Load() != 3 {
		t.Errorf("got %v after %d calls", err, calls.Load())
	}
}

func TestASlowServerIsGivenMoreTime(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		select {
		case <-r.Context().Done():
		case <-time.After(150 * time.Millisecond):
		}
	}))
	t.Cleanup(s.Close)
	for patience, want := range map[time.Duration]int32{0: 4, 75 * time.Millisecond: 4, time.Second: 3} {
		calls.Store(0)
		c := client(policy{attempts: 4, timeout: 50 * time.Millisecond, patience: patience, first: time.Millisecond, longest: time.Millisecond}, &http.Transport{})
		if _, err := c.Get(s.URL); (err == nil) != (want == 3) || calls.Load() != want {
			t.Errorf("patience %s: got %v after %d calls", patience, err, calls.Load())
		}
	}
}

func TestByOwnClock(t *testing.T) {
	own := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for server, want := range map[time.Duration]time.Duration{
		0: time.Hour, 59 * time.Second: time.Hour, -time.Minute: time.Hour,
		10 * time.Minute: 50 * time.Minute, -10 * time.Minute: 70 * time.Minute,
	} {
		if got := ByOwnClock(own.Add(time.Hour), own.Add(server), own); got != own.Add(want) {
			t.Errorf("a server %s ahead: %s", server, got)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	for name, tc := range map[string]struct {
		size int
		want error
	}{"at the bound": {maxBody, nil}, "above it": {maxBody + 1, ErrTooLarge}} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(make([]byte, tc.size))
			}))
			t.Cleanup(s.Close)
			response, err := apiClient(t).Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			data, err := io.ReadAll(response.Body)
			if !errors.Is(err, tc.want) || len(data) != maxBody {
				t.Errorf("read %d bytes, %v", len(data), err)
			}
		})
	}
}

func TestExtraAuthorities(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(bundle, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	trusting, err := API(bundle)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trusting.Get(s.URL); err != nil {
		t.Errorf("with the bundle: %v", err)
	}
	if _, err := apiClient(t).Get(s.URL); err == nil {
		t.Error("without the bundle the server is trusted")
	}
	for name, file := range map[string]string{"absent": bundle + ".absent", "not PEM": os.Args[0]} {
		if _, err := API(file); err == nil || !strings.HasPrefix(err.Error(), "certificate authorities: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMetadataAddressesNeverMeetAProxy(t *testing.T) {
	for host, want := range map[string]bool{
		"169.254.169.254": true, "169.254.170.23": true, "fd00:ec2::254": true, "fe80::1": true,
		"127.0.0.1": true, "::1": true, "localhost": true,
		"10.0.0.1": false, "api.ecr.us-east-1.amazonaws.com": false, "169.254.169.254.evil.com": false,
	} {
		if got := IsMetadata(host); got != want {
			t.Errorf("IsMetadata(%s) = %t", host, got)
		}
	}
	transport := Metadata().Transport.(*retrier).next.(*http.Transport)
	if transport.Proxy != nil {
		t.Error("the metadata client has a proxy")
	}
}

func TestRouterPicksByAddress(t *testing.T) {
	picked := ""
	record := func(name string) *http.Client {
		return &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			picked = name
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})}
	}
	router := Router{Metadata: record("metadata"), API: record("api"), Headers: []string{"X-Metadata-Token"}}
	for url, want := range map[string]string{
		"http://169.254.169.254/latest/api/token": "metadata",
		"http://[fd00:ec2::23]/v1/credentials":    "metadata",
		"https://sts.us-east-1.amazonaws.com/":    "api",
	} {
		request, _ := http.NewRequest(http.MethodGet, url, nil)
		for name, send := range map[string]func(*http.Request) (*http.Response, error){"Do": router.Do, "RoundTrip": router.RoundTrip} {
			picked = ""
			if _, err := send(request); err != nil || picked != want {
				t.Errorf("%s: %s went through %s, %v", name, url, picked, err)
			}
		}
	}
	request, _ := http.NewRequest(http.MethodGet, "http://imds.example.com/", nil)
	request.Header.Set("X-Metadata-Token", "x")
	if _, err := router.Do(request); err != nil || picked != "metadata" {
		t.Errorf("a marked request went through %s, %v", picked, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"-7":                            0,
		"soon":                          0,
		"99999999999":                   0,
		"Wed, 01 Jul 2026 12:00:30 GMT": 30 * time.Second,
		"Wed, 01 Jul 2026 11:00:00 GMT": 0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

// Azure's metadata service answers so while it is being updated, and throttles
// for seconds.
func TestAzuresMetadataIsWaitedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		passes bool
	}{"not there": {404, true}, "gone": {410, true}, "throttled": {429, true}, "fault": {500, true}, "no such identity": {400, false}, "denied": {403, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := client(azureMetadata, roundTrip(func(*http.Request) (*http.Response, error) {
					calls++
					return &http.Response{StatusCode: tc.status, Body: http.NoBody}, nil
				}))
				begin := time.Now()
				response, err := c.Get("http://169.254.169.254/")
				took := time.Since(begin)
				want := map[bool]int{true: 4, false: 1}[tc.passes]
				if err != nil || response.StatusCode != tc.status || calls != want {
					t.Errorf("got %v, %v after %d calls", response, err, calls)
				}
				if tc.passes && (took < 22*time.Second || took > 30*time.Second) || !tc.passes && took > 0 {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

// A run ends within its budget, and with the real answer.
func TestAzuresMetadataIsNotWaitedForBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(azureMetadata, roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusTooManyRequests, Body: http.NoBody}, nil
		}))
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://169.254.169.254/", nil)
		response, err := c.Do(request)
		if took := time.Since(begin); err != nil || response.StatusCode != http.StatusTooManyRequests || took > 10*time.Second {
			t.Errorf("got %v, %v after %s", response, err, took)
		}
	})
}

// Where nothing answers there is nothing to wait for.
func TestAzuresMetadataThatIsNotThereIsGivenUpSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := client(azureMetadata, roundTrip(func(*http.Request) (*http.Response, error) {
			calls++
			return nil, syscall.ECONNREFUSED
		}))
		begin := time.Now()
		_, err := c.Get("http://169.254.169.254/")
		if took := time.Since(begin); !errors.Is(err, syscall.ECONNREFUSED) || calls != 4 || took > 5*time.Second {
			t.Errorf("got %v after %d calls and %s", err, calls, took)
		}
	})
}

func TestOtherMetadataServicesAreNotAskedTwiceForWhatIsNotThere(t *testing.T) {
	s, calls := server(t, nil, 404)
	if response, err := Metadata().Get(s.URL); err != nil || response.StatusCode != http.StatusNotFound || calls.Load() != 1 {
		t.Errorf("got %v, %v after %d calls", response, err, calls.Load())
	}
}

// Whatever a URL names, one server is connected to, and it has to prove a name
// by one authority.
func TestAPinnedClientKnowsOneServer(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
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
		response, err := client(api, pinnedTransport(address, tc.serverName, tc.roots)).Get("https://anything.test/")
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
	file := filepath.Join(t.TempDir(), "ca.pem")
	if _, err := Pinned("10.0.0.1", "name", file); err == nil || !strings.HasPrefix(err.Error(), "certificate authorities: ") {
		t.Errorf("without a file: %v", err)
	}
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Pinned("[::1]", "example.com", file)
	if err != nil {
		t.Fatal(err)
	}
	config := c.Transport.(*retrier).next.(*http.Transport).TLSClientConfig
	if config.ServerName != "example.com" || config.MinVersion != tls.VersionTLS12 || len(config.RootCAs.Subjects()) != 1 { //nolint:staticcheck // The pool is not the system's.
		t.Errorf("got %+v", config)
	}
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Pinned("10.0.0.1", "name", file); err == nil || !strings.Contains(err.Error(), "holds no PEM certificate") {
		t.Errorf("without a certificate: %v", err)
	}
}
