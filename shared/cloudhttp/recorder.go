package cloudhttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// Recorder passes the requests of a library on and remembers the last reply:
// libraries lose on their ways where a request went and what came back, or
// print all of it.
type Recorder struct {
	// Next sends the requests and reads the whole answer, as the transports of
	// this package do.
	Next http.RoundTripper

	// Context bounds requests without a deadline, which some libraries send.
	// Nil bounds none.
	Context context.Context //nolint:containedctx // Of libraries that take none.

	// OnlySuccess makes an error of every answer that is not a success, by
	// which a library can neither print it nor take it for one to repeat: that
	// was done already, below.
	OnlySuccess bool

	mu   sync.Mutex
	last Reply
}

// errNoSuccess stands for a reply that was not a success.
var errNoSuccess = errors.New("request failed")

// RoundTrip sends a request.
func (r *Recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	if _, bounded := request.Context().Deadline(); !bounded && r.Context != nil {
		request = request.WithContext(r.Context)
	}
	response, err := r.Next.RoundTrip(request)
	reply := received("", request, response, err)
	r.mu.Lock()
	r.last = reply
	r.mu.Unlock()
	switch {
	case r.OnlySuccess && !reply.OK():
		return nil, errNoSuccess
	case reply.Err != nil:
		return nil, reply.Err
	}
	response.Body = io.NopCloser(bytes.NewReader(reply.Body))
	return response, nil
}

// Do is RoundTrip for an SDK that takes that for a client.
func (r *Recorder) Do(request *http.Request) (*http.Response, error) { return r.RoundTrip(request) }

// Client returns an http.Client whose requests are recorded.
func (r *Recorder) Client() *http.Client {
	return &http.Client{Transport: r, CheckRedirect: noRedirect}
}

// Last returns the last reply. The zero Reply means that nothing was sent.
func (r *Recorder) Last() Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}
