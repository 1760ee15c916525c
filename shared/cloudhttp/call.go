package cloudhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sigs.k8s.io/json"

	"regcred/shared/credential"
)

// Call is a request to one of the services on the way to a credential.
type Call struct {
	// Stage is what the service is asked for, in messages.
	Stage string

	URL string

	// Form is posted. Nil with no Body means that something is got.
	Form url.Values

	// Body is posted, as ContentType says.
	Body        []byte
	ContentType string

	// Method is PUT, say. Empty means POST for a call with a form or a body,
	// and GET for one without.
	Method string

	Header http.Header

	// Bearer is whose token the call carries. The zero value sends none.
	Bearer credential.Secret
}

// Do sends the call through a client of this package. What went wrong is in the
// Reply.
func (c Call) Do(ctx context.Context, client *http.Client) Reply {
	request, err := c.request(ctx)
	if err != nil {
		return Reply{Stage: c.Stage, Err: err}
	}
	response, err := client.Transport.RoundTrip(request) //nolint:bodyclose // received closes it.
	return received(c.Stage, request, response, err)
}

func (c Call) request(ctx context.Context) (*http.Request, error) {
	method, body, contentType := http.MethodGet, string(c.Body), c.ContentType
	if c.Form != nil {
		body, contentType = c.Form.Encode(), "application/x-www-form-urlencoded"
	}
	if c.Form != nil || c.Body != nil {
		method = http.MethodPost
	}
	if c.Method != "" {
		method = c.Method
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("invalid address") // which may hold a secret
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	request.Header.Set("User-Agent", "regcred")
	for name, values := range c.Header {
		request.Header[name] = values
	}
	if !c.Bearer.Empty() {
		request.Header.Set("Authorization", "Bearer "+c.Bearer.Reveal())
	}
	return request, nil
}

// Reply is what came of a request.
type Reply struct {
	Stage, Host string

	// Status is zero if there was no answer.
	Status int
	Header http.Header
	Body   []byte

	// Err is why there was no answer.
	Err error

	// Received is when it came, by this machine's clock.
	Received time.Time
}

// received makes the reply of what a transport returned that reads the whole
// answer.
func received(stage string, request *http.Request, response *http.Response, err error) Reply {
	r := Reply{Stage: stage, Host: request.URL.Host, Err: err, Received: time.Now()}
	if err != nil {
		return r
	}
	defer func() { _ = response.Body.Close() }()
	if r.Body, r.Err = io.ReadAll(response.Body); r.Err == nil {
		r.Status, r.Header = response.StatusCode, response.Header
	}
	return r
}

// OK reports whether there was an answer, and a success.
func (r Reply) OK() bool { return r.Err == nil && r.Status >= 200 && r.Status <= 299 }

// Unauthorized reports whether the answer is that what was shown is not taken.
func (r Reply) Unauthorized() bool { return r.Status == http.StatusUnauthorized }

// ErrUnreadable is the error of an answer that is not what it should be.
var ErrUnreadable = errors.New("the answer cannot be read")

// Decode reads the JSON of an answer. What it says is in no error.
func (r Reply) Decode(into any) error {
	if json.UnmarshalCaseSensitivePreserveInts(r.Body, into) != nil {
		return ErrUnreadable
	}
	return nil
}

// RetryAfter is how long the service asks to be left alone, or zero.
func (r Reply) RetryAfter() time.Duration { return RetryAfter(r.Header, r.Received) }

// OwnTime translates a time that the server stated into the clock of this
// machine, if the server says what time it is there.
func (r Reply) OwnTime(t time.Time) time.Time {
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return t
	}
	return OwnTime(t, date, r.Received)
}

// OwnTime translates a time that a server stated into the clock of this
// machine, where the two are apart: a node that is behind would use a token
// past its end. Server and own are what either clock showed at the answer.
func OwnTime(t, server, own time.Time) time.Time {
	// The server's clock is told in whole seconds and after a way.
	if skew := server.Sub(own); skew.Abs() > time.Minute {
		return t.Add(-skew)
	}
	return t
}
