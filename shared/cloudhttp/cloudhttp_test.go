package cloudhttp

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
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
