package acr

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sigs.k8s.io/json"
)

// call is a request of one of the services on the way to a credential.
type call struct {
	// stage is what the call is for, in messages.
	stage string
	url   string
	// form is posted. Nil means that something is got.
	form   url.Values
	header http.Header
}

// reply is what came of a call.
type reply struct {
	stage, host string
	// status is zero if there was no answer.
	status int
	header http.Header
	body   []byte
	err    error
}

// do sends the call. Redirects are not followed by any of the clients.
func (c call) do(ctx context.Context, client *http.Client) reply {
	r := reply{stage: c.stage}
	method, body := http.MethodGet, ""
	if c.form != nil {
		method, body = http.MethodPost, c.form.Encode()
	}
	for attempt := 1; ; attempt++ {
		request, err := http.NewRequestWithContext(ctx, method, c.url, strings.NewReader(body))
		if err != nil {
			r.err = errors.New("the address is not one")
			return r
		}
		r.host = request.URL.Host
		if c.form != nil {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		request.Header.Set("User-Agent", "regcred")
		for name, values := range c.header {
			request.Header[name] = values
		}
		r.status, r.header, r.body, r.err = send(client, request)
		// The client sees answers begin and no more.
		if attempt > 1 || !errors.Is(r.err, io.ErrUnexpectedEOF) {
			return r
		}
	}
}

// send sends a request once and reads the whole answer.
func send(client *http.Client, request *http.Request) (int, http.Header, []byte, error) {
	response, err := client.Do(request)
	if err != nil {
		// The caller says where to, and its error would repeat the URL.
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return 0, nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, body, err
}

// ok reports whether there was an answer, and a success.
func (r reply) ok() bool { return r.err == nil && r.status >= 200 && r.status <= 299 }

// unauthorized reports whether the answer is that what was shown is not taken.
func (r reply) unauthorized() bool { return r.err == nil && r.status == http.StatusUnauthorized }

// decode reads the JSON of an answer. What it says is in no error.
func (r reply) decode(into any) error {
	if json.UnmarshalCaseSensitivePreserveInts(r.body, into) != nil {
		return errors.New("the answer can not be read")
	}
	return nil
}

// date is the server's clock, or zero.
func (r reply) date() time.Time {
	t, err := http.ParseTime(r.header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}
