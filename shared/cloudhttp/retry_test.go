package cloudhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
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

func apiClient() *http.Client { return New(Options{}).API() }

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

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answer is a response with a status.
func answer(status int, header ...string) *http.Response {
	response := &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}
	for i := 0; i < len(header); i += 2 {
		response.Header.Set(header[i], header[i+1])
	}
	return response
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
			response, err := post(t.Context(), t, apiClient(), s.URL)
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
	response, err := apiClient().Do(request)
	if err != nil || response.StatusCode != http.StatusOK || calls.Load() != 3 {
		t.Errorf("got %v, %v after %d calls", response, err, calls.Load())
	}
}

// A short wait is waited; a long one is the next process's.
func TestRetryAfterIsRespected(t *testing.T) {
	for asked, wantCalls := range map[string]int{"1": 2, "5": 2, "6": 1, "40": 1, "3600": 1} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			c := client(apiPolicy, roundTrip(func(*http.Request) (*http.Response, error) {
				if calls++; calls > 1 {
					return answer(http.StatusOK), nil
				}
				return answer(http.StatusTooManyRequests, "Retry-After", asked), nil
			}))
			begin := time.Now()
			response, err := c.Get("https://api.test/")
			took := time.Since(begin)
			least, _ := time.ParseDuration(asked + "s")
			if err != nil || calls != wantCalls || calls == 2 && took < least || calls == 1 && took > 0 {
				t.Errorf("%s s: got %v, %v after %d calls and %s", asked, response, err, calls, took)
			}
		})
	}
}

func TestNoWaitPastTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		c := client(apiPolicy, roundTrip(func(*http.Request) (*http.Response, error) {
			return answer(http.StatusTooManyRequests, "Retry-After", "4"), nil
		}))
		response, err := post(ctx, t, c, "https://api.test/")
		if err != nil || response.StatusCode != http.StatusTooManyRequests || time.Since(begin) > 0 {
			t.Errorf("got %v, %v after %s; want the 429 at once", response, err, time.Since(begin))
		}
	})
}

// A last attempt of a few hundred milliseconds would hide for how long the
// service was waited for.
func TestAfterASilenceThereIsTimeOrNoAttempt(t *testing.T) {
	for budget, wantCalls := range map[time.Duration]int{6 * time.Second: 1, 10 * time.Second: 1, 13 * time.Second: 2} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), budget)
			defer cancel()
			calls := 0
			c := client(metadataPolicy, roundTrip(func(r *http.Request) (*http.Response, error) {
				calls++
				<-r.Context().Done()
				return nil, r.Context().Err()
			}))
			_, err := post(ctx, t, c, "http://169.254.169.254/")
			if silence, ok := errors.AsType[*SilenceError](err); !ok || silence.After < time.Second || calls != wantCalls {
				t.Errorf("within %s: got %v after %d calls, want %d", budget, err, calls, wantCalls)
			}
		})
	}
}

func TestWhatBreaksOffIsRetried(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for name, began := range map[string]bool{"before the answer": false, "within the answer": true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %t", name, http2), func(t *testing.T) {
				var calls atomic.Int32
				s := breaking(t, http2, func() bool { return calls.Add(1) < 3 }, began)
				response, err := post(t.Context(), t, trusting(t, s), s.URL)
				if err != nil || response.StatusCode != http.StatusOK || (response.ProtoMajor == 2) != http2 {
					t.Errorf("got %v, %v after %d calls", response, err, calls.Load())
				}
			})
		}
	}
}

// breaking is a server that breaks off, before it answers or within the answer.
func breaking(t *testing.T, http2 bool, breaks func() bool, began bool) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !breaks() {
			return
		}
		if began {
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	}))
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// trusting is an API client that trusts a server.
func trusting(t *testing.T, s *httptest.Server) *http.Client {
	return New(Options{CAFile: bundle(t, certificateOf(s))}).API()
}

// What a node meets in its first moments, and what passes by itself, is tried
// again; what says that there is nothing there is not.
func TestWhichErrorsAreRetried(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for name, tc := range map[string]struct {
		err   error
		again bool
	}{
		"a name that is not there yet": {dial(&net.DNSError{Err: "no such host", IsNotFound: true}), true},
		"a datagram is lost":           {dial(&net.DNSError{Err: "i/o timeout", IsTimeout: true}), true},
		"no route yet":                 {dial(syscall.ENETUNREACH), true},
		"refused":                      {dial(syscall.ECONNREFUSED), true},
		"reset":                        {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		"a handshake that hangs":       {timeoutError{}, true},
		"a body that breaks off":       {brokenOff{io.ErrUnexpectedEOF}, true},
		"a proxy that is overloaded":   {proxyError{"proxy", 503}, true},
		"no connection in time":        {dial(timeoutError{}), false},
		"which Go has two errors for":  {dial(context.DeadlineExceeded), false},
		"a proxy that forbids":         {proxyError{"proxy", 403}, false},
		"an answer that is too large":  {ErrTooLarge, false},
		"a proxy that is none":         {proxyVariableError{"HTTPS_PROXY"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := client(apiPolicy, roundTrip(func(*http.Request) (*http.Response, error) {
					if calls++; calls < 3 {
						return nil, tc.err
					}
					return answer(http.StatusOK), nil
				}))
				response, err := c.Get("https://api.test/")
				if (err == nil) != tc.again || tc.again && response.StatusCode != http.StatusOK || !tc.again && calls != 1 {
					t.Errorf("got %v, %v after %d calls", response, err, calls)
				}
			})
		})
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// A node that has just joined resolves no names for half a second.
func TestNamesAreWaitedForASecond(t *testing.T) {
	for range 20 { // the waits are random
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			c := client(apiPolicy, roundTrip(func(*http.Request) (*http.Response, error) {
				if time.Since(begin) < time.Second {
					return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
				}
				return answer(http.StatusOK), nil
			}))
			if _, err := c.Get("https://api.test/"); err != nil {
				t.Error(err)
			}
		})
	}
}

// slow answers so long after it was connected to.
func slow(after time.Duration) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		if err := Sleep(r.Context(), after); err != nil {
			return nil, err
		}
		return answer(http.StatusOK), nil
	}
}

// A service that is slow is waited for: the second attempt has what is left.
func TestASlowServiceIsWaitedFor(t *testing.T) {
	for after, wantErr := range map[time.Duration]bool{6 * time.Second: false, 12 * time.Second: false, 30 * time.Second: false, 45 * time.Second: true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
			defer cancel()
			begin := time.Now()
			_, err := post(ctx, t, client(metadataPolicy, slow(after)), "http://169.254.169.254/")
			took := time.Since(begin)
			if (err != nil) != wantErr || took > 50*time.Second {
				t.Errorf("%s: got %v after %s", after, err, took)
			}
			var silence *SilenceError
			if wantErr && (!errors.As(err, &silence) || ctx.Err() != nil) {
				t.Errorf("%s: got %v with the context at %v", after, err, ctx.Err())
			}
		})
	}
}

func TestSilenceSaysHowFarItCame(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-hang:
		}
	}))
	t.Cleanup(silent.Close)
	stalling := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "{")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-hang:
		}
	}))
	t.Cleanup(stalling.Close)
	for url, want := range map[string]Step{silent.URL: Waiting, stalling.URL: Reading} {
		r := &retrier{policy: apiPolicy, next: &http.Transport{}}
		request, _ := http.NewRequest(http.MethodGet, url, nil)
		_, err := r.attempt(request, 100*time.Millisecond)
		var silence *SilenceError
		if !errors.As(err, &silence) || silence.Step != want || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want step %d", err, want)
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
			reply := Call{URL: s.URL}.Do(t.Context(), apiClient())
			if !errors.Is(reply.Err, tc.want) || tc.want == nil && len(reply.Body) != tc.size {
				t.Errorf("read %d bytes, %v", len(reply.Body), reply.Err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"-7":                            0,
		"soon":                          0,
		"2147483647":                    math.MaxInt32 * time.Second,
		"2147483648":                    math.MaxInt32 * time.Second,
		"99999999999999999999999999":    math.MaxInt32 * time.Second,
		"7 s":                           0,
		"Wed, 01 Jul 2026 12:00:30 GMT": 30 * time.Second,
		"Wed, 01 Jul 2026 11:00:00 GMT": 0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

// patient are the waits that one cloud documents for its metadata service.
var patient = Patience{
	Waits: []time.Duration{2 * time.Second, 6 * time.Second, 14 * time.Second},
	Again: func(r Reply) bool {
		return (r.Status == http.StatusNotFound || r.Status == http.StatusGone) && string(r.Body) == "later"
	},
}

func TestDocumentedWaitsAreKept(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		passes bool
	}{
		"not there":        {404, "later", true},
		"not its own":      {404, "<html>", false},
		"gone":             {410, "later", true},
		"throttled":        {429, "", true},
		"fault":            {500, "", true},
		"no such identity": {400, "later", false},
		"denied":           {403, "later", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := client(metadataPolicy.with(patient), roundTrip(func(*http.Request) (*http.Response, error) {
					calls++
					response := answer(tc.status)
					response.Body = io.NopCloser(strings.NewReader(tc.body))
					return response, nil
				}))
				begin := time.Now()
				response, err := c.Get("http://169.254.169.254/")
				took := time.Since(begin)
				want := map[bool]int{true: 4, false: 1}[tc.passes]
				if body, _ := io.ReadAll(response.Body); string(body) != tc.body {
					t.Errorf("read %q", body)
				}
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
func TestDocumentedWaitsEndAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(metadataPolicy.with(patient), roundTrip(func(*http.Request) (*http.Response, error) {
			return answer(http.StatusTooManyRequests), nil
		}))
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		response, err := post(ctx, t, c, "http://169.254.169.254/")
		if took := time.Since(begin); err != nil || response.StatusCode != http.StatusTooManyRequests || took > 10*time.Second {
			t.Errorf("got %v, %v after %s", response, err, took)
		}
	})
}

// Where nothing listens, the waits after answers do not hold.
func TestRefusedConnectionsAreGivenUpSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := client(metadataPolicy.with(patient), roundTrip(func(*http.Request) (*http.Response, error) {
			calls++
			return nil, syscall.ECONNREFUSED
		}))
		begin := time.Now()
		_, err := c.Get("http://169.254.169.254/")
		if took := time.Since(begin); !errors.Is(err, syscall.ECONNREFUSED) || calls < minFailures || took < 1500*time.Millisecond || took > failingTime {
			t.Errorf("got %v after %d calls and %s", err, calls, took)
		}
	})
}

func TestMetadataServicesAreNotAskedTwiceForWhatIsNotThere(t *testing.T) {
	s, calls := server(t, nil, 404)
	if response, err := New(Options{}).Metadata().Get(s.URL); err != nil || response.StatusCode != http.StatusNotFound || calls.Load() != 1 {
		t.Errorf("got %v, %v after %d calls", response, err, calls.Load())
	}
}

func TestWhoeverObservesIsToldOfEachAttempt(t *testing.T) {
	date := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s, _ := server(t, http.Header{"Date": {date.Format(http.TimeFormat)}}, 503, 200)
	var seen []Attempt
	ctx := WithObserver(t.Context(), func(a Attempt) { seen = append(seen, a) })
	if _, err := post(ctx, t, New(Options{}).Metadata(), s.URL); err != nil {
		t.Fatal(err)
	}
	s.Close()
	deadline, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := post(deadline, t, apiClient(), s.URL); err == nil {
		t.Fatal("an answer from nobody")
	}
	if len(seen) < 3 {
		t.Fatalf("saw %+v", seen)
	}
	for i, want := range []Attempt{{Metadata: true, Number: 1, Status: 503}, {Metadata: true, Number: 2, Status: 200}, {Number: 1}} {
		got := seen[i]
		if got.Metadata != want.Metadata || got.Number != want.Number || got.Status != want.Status || got.Host != strings.TrimPrefix(s.URL, "http://") ||
			(got.Err == nil) != (want.Status != 0) || got.Date.Equal(date) != (want.Status != 0) || time.Since(got.Received) > time.Minute {
			t.Errorf("attempt %d: %+v, want %+v", i, got, want)
		}
	}
}
