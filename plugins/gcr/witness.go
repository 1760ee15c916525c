package gcr

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/json"

	"regcred/shared/cloudhttp"
)

// witness passes requests on and remembers the last one: the libraries lose on
// their ways where a request went and what came back, or print all of it.
type witness struct {
	// ctx bounds requests without a deadline: the library that exchanges a
	// key sends them without a context.
	ctx  context.Context
	next http.RoundTripper

	mu   sync.Mutex
	last exchange
}

// exchange is a request and what came of it. The zero value is none.
type exchange struct {
	host string
	// status is zero if there was no answer.
	status int
	// code and text are what the answer says of a failure.
	code, text string
	retryAfter time.Duration
	// date is the server's clock, or zero.
	date time.Time
	// flavor reports whether the answer says that it is metadata of Google's.
	flavor bool
	err    error
}

// observe returns a client whose last exchange the witness knows. The client
// does not follow redirects, because requests carry tokens.
func observe(ctx context.Context, next http.RoundTripper) (*http.Client, *witness) {
	w := &witness{ctx: ctx, next: next}
	return &http.Client{
		Transport:     w,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, w
}

// errFailed stands for an exchange that failed. It says nothing by which a
// library could take it for one to repeat: that was done already, below.
var errFailed = errors.New("request failed")

// RoundTrip sends a request and reads the whole answer. An answer that is not
// a success is an error.
func (w *witness) RoundTrip(request *http.Request) (*http.Response, error) {
	if _, bounded := request.Context().Deadline(); !bounded {
		request = request.WithContext(w.ctx)
	}
	response, body, err := w.send(request)
	e := exchange{host: request.URL.Host, err: err}
	if err == nil {
		e.status = response.StatusCode
		e.retryAfter = cloudhttp.RetryAfter(response.Header, time.Now())
		e.date, _ = http.ParseTime(response.Header.Get("Date"))
		e.flavor = response.Header.Get(flavorHeader) == flavor
		if e.failed() {
			e.code, e.text = readFailure(response.Header.Get("Content-Type"), body)
		}
	}
	w.mu.Lock()
	w.last = e
	w.mu.Unlock()
	if e.failed() {
		return nil, errFailed
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// send sends a request, and once more if its answer ended in the middle: the
// client below only sees answers begin.
func (w *witness) send(request *http.Request) (*http.Response, []byte, error) {
	for attempt := 1; ; attempt++ {
		response, err := w.next.RoundTrip(request)
		if err != nil {
			return nil, nil, err
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		again := errors.Is(err, io.ErrUnexpectedEOF) && attempt == 1 && (request.Body == nil || request.GetBody != nil)
		if !again {
			return response, body, err
		}
	}
}

// seen returns the last exchange.
func (w *witness) seen() exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// failed reports whether there was no answer, or one that is not a success.
func (e exchange) failed() bool { return e.err != nil || e.status < 200 || e.status > 299 }

// readFailure returns code and text of a failure. STS answers as OAuth does,
// the APIs with an object, and the metadata server with a page or a line.
func readFailure(contentType string, body []byte) (code, text string) {
	var oauth struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.UnmarshalCaseSensitivePreserveInts(body, &oauth) == nil && oauth.Error != "" {
		return oauth.Error, oauth.Description
	}
	var api struct {
		Error struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.UnmarshalCaseSensitivePreserveInts(body, &api) == nil && api.Error.Message != "" {
		return api.Error.Status, api.Error.Message
	}
	if !strings.HasPrefix(contentType, "text/plain") && !strings.HasPrefix(contentType, "application/text") {
		return "", ""
	}
	return "", strings.TrimSpace(strings.ToValidUTF8(string(body[:min(len(body), 200)]), ""))
}
