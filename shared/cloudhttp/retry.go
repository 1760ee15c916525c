package cloudhttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// policy says how often and how long to try.
type policy struct {
	attempts int
	// timeout bounds one attempt, body included. Each that gets no answer in
	// time doubles it for the next, up to patience: what hangs is given up
	// soon, and what is only slow is waited for. No patience keeps it.
	timeout, patience time.Duration
	// first is the bound of the first wait; it doubles up to longest. The
	// wait itself is anything between zero and the bound, so that nodes
	// which failed together do not come back together.
	first, longest time.Duration
	// waits are the least waits after answers that a service documents. Each
	// is lengthened by up to a quarter. Where there is no answer, the bounds
	// above hold.
	waits []time.Duration
	// passing are further statuses that are worth another attempt.
	passing []int
}

// retrier sends a request again when what came back may pass by itself:
// throttling, server errors, refused and broken connections, no answer in time.
type retrier struct {
	policy
	next http.RoundTripper
}

// RoundTrip returns the last answer or error. It never waits past the context:
// when there is no time for another attempt, the caller gets the reason at
// once instead of a deadline's.
func (r *retrier) RoundTrip(request *http.Request) (*http.Response, error) {
	request, err := repeatable(request)
	if err != nil {
		return nil, err
	}
	timeout := r.timeout
	for attempt := 1; ; attempt++ {
		response, err := r.attempt(request, timeout)
		if attempt == r.attempts || !r.mayPass(request.Context(), response, err) {
			return response, err
		}
		wait := r.wait(attempt, response)
		if deadline, ok := request.Context().Deadline(); ok && time.Until(deadline) < wait+r.first {
			return response, err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			timeout = max(timeout, min(2*timeout, r.patience))
		}
		if response != nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		if err := Sleep(request.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// attempt sends the request once, bounded in time and in what it may answer.
func (r *retrier) attempt(request *http.Request, timeout time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), timeout)
	request = request.Clone(ctx)
	if request.GetBody != nil {
		var err error
		if request.Body, err = request.GetBody(); err != nil {
			cancel()
			return nil, err
		}
	}
	response, err := r.next.RoundTrip(request)
	if err != nil {
		cancel()
		return nil, err
	}
	response.Body = &body{ReadCloser: response.Body, left: maxBody, cancel: cancel}
	return response, nil
}

// wait returns how long to wait after an attempt: at least what the server
// asks for.
func (r *retrier) wait(attempt int, response *http.Response) time.Duration {
	least, bound := time.Duration(0), min(r.first<<(attempt-1), r.longest)
	if response != nil {
		if len(r.waits) > 0 {
			least = r.waits[min(attempt, len(r.waits))-1]
			bound = least / 4
		}
		least = max(least, RetryAfter(response.Header, time.Now()))
	}
	return least + rand.N(bound)
}

// mayPass reports whether another attempt may end differently.
func (p policy) mayPass(ctx context.Context, response *http.Response, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if err == nil {
		return response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500 || slices.Contains(p.passing, response.StatusCode)
	}
	// A connection that could not be made in time will not be made the next
	// time either: there is nothing at that address.
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" && dial.Timeout() {
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

// repeatable returns the request with a body that can be sent again. An SDK
// that streams its body hands over one that can not, and closes it as soon as
// it has the answer's headers, under the hands of a transport that may still be
// looking whether there is more to send. Requests for tokens are small, so the
// body is read into memory first.
func repeatable(request *http.Request) (*http.Request, error) {
	if request.Body == nil || request.Body == http.NoBody || request.GetBody != nil {
		return request, nil
	}
	sent, err := io.ReadAll(io.LimitReader(request.Body, maxBody+1))
	_ = request.Body.Close()
	if err != nil {
		return nil, err
	}
	if len(sent) > maxBody {
		return nil, errors.New("the request is larger than 1 MiB")
	}
	request = request.Clone(request.Context())
	request.ContentLength = int64(len(sent))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(sent)), nil }
	return request, nil
}

// Sleep waits, and returns early with the reason when ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// RetryAfter returns what a Retry-After header asks for, in seconds or as a
// date, or zero.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// body is a response's body that ends its attempt when it is closed and is an
// error when it is too long.
type body struct {
	io.ReadCloser
	left   int64
	cancel context.CancelFunc
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// Whether there is more has to be asked: a body may end here.
		n, err := b.ReadCloser.Read(make([]byte, 1))
		if n > 0 {
			return 0, ErrTooLarge
		}
		return 0, err
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
