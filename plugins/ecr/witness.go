package ecr

import (
	"net/http"
	"sync"
	"time"

	"regcred/shared/cloudhttp"
)

// witness passes requests on and remembers the last one: the SDK loses on its
// ways through the credential chain where a request went and what came back.
type witness struct {
	client interface {
		Do(*http.Request) (*http.Response, error)
	}

	mu   sync.Mutex
	last exchange
}

// exchange is a request and what came of it. The zero value is none.
type exchange struct {
	host string
	// status is zero if there was no answer.
	status     int
	retryAfter time.Duration
	err        error
}

// Do sends a request.
func (w *witness) Do(request *http.Request) (*http.Response, error) {
	response, err := w.client.Do(request)
	e := exchange{host: request.URL.Host, err: err}
	if err == nil {
		e.status = response.StatusCode
		e.retryAfter = cloudhttp.RetryAfter(response.Header, time.Now())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = e
	return response, err
}

// seen returns the last exchange.
func (w *witness) seen() exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}
