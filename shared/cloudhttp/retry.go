package cloudhttp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// policy says how often to try, and how long to wait in between.
type policy struct {
	Patience

	// first is the bound of the first wait; it doubles up to longest. The
	// wait itself is anything between half of the bound and all of it, so
	// that nodes which failed together do not come back together.
	first, longest time.Duration

	// local means that the services are on the node's own link.
	local bool
}

func (p policy) with(patience Patience) policy {
	p.Patience = patience
	return p
}

var (
	metadataPolicy = policy{first: 100 * time.Millisecond, longest: 2 * time.Second, local: true}
	apiPolicy      = policy{first: 200 * time.Millisecond, longest: 5 * time.Second}
)

const (
	// maxAnswers bounds the attempts that get an answer, since each is load on a
	// service that has a fault.
	maxAnswers = 4

	// failingTime is for how long attempts go on that fail without an answer,
	// most of them at once, and minFailures is how many there are if each takes
	// its time. The services of a node that has just started, and its DNS, take
	// some seconds to come.
	failingTime = 4 * time.Second
	minFailures = 3

	// answerTimeout bounds an attempt, body included. Metadata services promise
	// an answer within 10 s and have needed 30: the attempt after one that was
	// connected and got no answer is the last, and has what is left.
	answerTimeout = 10 * time.Second

	// silenceTime is the least that an attempt is given after one that got no
	// answer: less would say nothing new, and that it was not waited for.
	silenceTime = time.Second

	// withoutDeadline is what is left of a request that has no deadline.
	withoutDeadline = 30 * time.Second

	// tellingTime is kept of what is left, to say and record what came of it.
	tellingTime = time.Second

	// maxRetryAfter is the longest wait that a service can ask for and get:
	// more than that is for the next process.
	maxRetryAfter = 5 * time.Second
)

// retrier sends a request again when what came back may pass by itself:
// throttling, server errors, names that do not resolve for a moment, refused
// and broken connections, no answer in time. It reads the whole answer, so that
// one which breaks off is retried like any other.
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
	ctx := request.Context()
	start, last := time.Now(), false
	for attempt := 1; ; attempt++ {
		timeout := left(ctx)
		if !last {
			timeout = min(timeout, answerTimeout)
		}
		begin := time.Now()
		response, err := r.attempt(request, timeout)
		r.observe(request, attempt, time.Since(begin), response, err)
		if last || !r.retryable(request, attempt, response, err) {
			return response, err
		}
		wait := r.wait(attempt, response)
		failing := err != nil && attempt >= minFailures && time.Since(start)+wait > failingTime
		last = errors.Is(err, context.DeadlineExceeded)
		least := r.first
		if last {
			least = silenceTime
		}
		if failing || left(ctx) < wait+least || Sleep(ctx, wait) != nil {
			return response, err
		}
	}
}

// CloseIdleConnections is for http.Client's.
func (r *retrier) CloseIdleConnections() {
	if idler, ok := r.next.(interface{ CloseIdleConnections() }); ok {
		idler.CloseIdleConnections()
	}
}

// left returns how long an attempt may take.
func left(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return withoutDeadline
	}
	whole := time.Until(deadline)
	return whole - min(tellingTime, whole/10)
}

// attempt sends the request once, bounded in time and in what it may answer.
func (r *retrier) attempt(request *http.Request, timeout time.Duration) (*http.Response, error) {
	progress := new(progress)
	ctx, cancel := context.WithTimeout(httptrace.WithClientTrace(request.Context(), progress.trace()), timeout)
	defer cancel()
	attempt := request.Clone(ctx)
	if request.GetBody != nil {
		var err error
		if attempt.Body, err = request.GetBody(); err != nil {
			return nil, err
		}
	}
	response, err := r.next.RoundTrip(attempt)
	if err == nil {
		err = readWhole(response)
	}
	// Not every deadline is the attempt's: a dialer has its own, and Go sometimes
	// has the one error for both.
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil && request.Context().Err() == nil {
		err = &SilenceError{Step: progress.step(), After: timeout.Round(100 * time.Millisecond)}
	}
	if err != nil {
		return nil, err
	}
	response.Request = request
	return response, nil
}

// ErrTooLarge is the error of an answer of more than 1 MiB.
var ErrTooLarge = errors.New("the answer is larger than 1 MiB")

// brokenOff is the error of an answer that began and did not come to its end.
type brokenOff struct{ err error }

func (e brokenOff) Error() string { return "the answer broke off: " + e.err.Error() }
func (e brokenOff) Unwrap() error { return e.err }

// readWhole replaces a response's body by one in memory.
func readWhole(response *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	_ = response.Body.Close()
	if err != nil {
		return brokenOff{err}
	}
	if len(body) > maxBody {
		return ErrTooLarge
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

// wait returns how long to wait after an attempt: at least what the server
// asks for.
func (r *retrier) wait(attempt int, response *http.Response) time.Duration {
	bound := min(r.first<<min(attempt-1, 16), r.longest)
	least, bound := bound/2, bound/2
	if response != nil {
		if len(r.Waits) > 0 {
			least = r.Waits[min(attempt, len(r.Waits))-1]
			bound = least / 4
		}
		least = max(least, RetryAfter(response.Header, time.Now()))
	}
	return least + rand.N(bound)
}

// retryable reports whether another attempt may end differently.
func (r *retrier) retryable(request *http.Request, attempt int, response *http.Response, err error) bool {
	if request.Context().Err() != nil {
		return false
	}
	if err == nil {
		status := response.StatusCode
		again := status == http.StatusTooManyRequests || status >= 500 || r.Again != nil && r.Again(peek(request, response))
		return again && attempt < maxAnswers && RetryAfter(response.Header, time.Now()) <= maxRetryAfter
	}
	return passing(err)
}

// peek returns the reply of a response that was read into memory, and leaves
// the response as it was.
func peek(request *http.Request, response *http.Response) Reply {
	r := received("", request, response, nil)
	response.Body = io.NopCloser(bytes.NewReader(r.Body))
	return r
}

// passing reports whether an error may pass by itself.
func passing(err error) bool {
	if proxy, ok := errors.AsType[proxyError](err); ok {
		return proxy.status == http.StatusTooManyRequests || proxy.status >= 500
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true // names of nodes that have just joined, lost datagrams
	}
	// A connection that could not be made in time will not be made the next
	// time either: there is nothing at that address.
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" && dial.Timeout() {
		return false
	}
	// Nor does what was shown change, or what was trusted.
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	if brokeOff(err) || isAny(err, syscall.ECONNREFUSED, syscall.ENETUNREACH, syscall.EHOSTUNREACH, context.DeadlineExceeded) {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err) // such as a handshake's
	return ok && timeout.Timeout()
}

// brokeOff reports whether a connection, or a stream of HTTP/2 in it, ended before
// the answer did. For those of HTTP/2 Go has no sign but the text.
func brokeOff(err error) bool {
	text := err.Error()
	return isA[brokenOff](err) || strings.HasPrefix(text, "stream error: ") || strings.HasPrefix(text, "http2: ") ||
		isAny(err, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE)
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// repeatable returns the request with a body that can be sent again. An SDK
// that streams its body hands over one that cannot, and closes it as soon as
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
// date, or zero. More than some decades are as good as these.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(seconds) * time.Second // the largest number for what is out of range
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}
