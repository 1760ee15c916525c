package cloudhttp

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

type logKey struct{}

// WithLog returns a context whose requests are logged at debug: the steps that
// a run took.
func WithLog(ctx context.Context, log *slog.Logger) context.Context {
	return context.WithValue(ctx, logKey{}, log)
}

// Log returns the log of such a context, or one that says nothing.
func Log(ctx context.Context) *slog.Logger {
	if log, ok := ctx.Value(logKey{}).(*slog.Logger); ok {
		return log
	}
	return slog.New(slog.DiscardHandler)
}

// Attempt is one time that a request was sent.
type Attempt struct {
	Host string
	// Metadata means that a metadata service was asked, without a proxy.
	Metadata bool
	Number   int
	Took     time.Duration

	// Status is zero if there was no answer, for the reason Err.
	Status int
	Err    error

	// Date is what the time was where the answer is from, in whole seconds, and
	// Received what it was here. Date is zero if the answer did not say.
	Date, Received time.Time
}

type observerKey struct{}

// WithObserver returns a context whose requests are told of, each time that one
// was sent. They may be sent at the same time.
func WithObserver(ctx context.Context, observe func(Attempt)) context.Context {
	return context.WithValue(ctx, observerKey{}, observe)
}

// observe tells of an attempt.
func (r *retrier) observe(request *http.Request, number int, took time.Duration, response *http.Response, err error) {
	logAttempt(request, number, took, response, err)
	observe, ok := request.Context().Value(observerKey{}).(func(Attempt))
	if !ok {
		return
	}
	a := Attempt{Host: request.URL.Host, Metadata: r.local, Number: number, Took: took, Err: err, Received: time.Now()}
	if err == nil {
		a.Status = response.StatusCode
		a.Date, _ = http.ParseTime(response.Header.Get("Date"))
	}
	observe(a)
}

// logAttempt logs an attempt. The path and the query are left out: they may
// hold what somebody's identity is.
func logAttempt(request *http.Request, number int, took time.Duration, response *http.Response, err error) {
	log := Log(request.Context())
	attributes := []any{"method", request.Method, "host", request.URL.Host, "attempt", number, "took", took.Round(time.Millisecond)}
	if err != nil {
		attributes = append(attributes, "error", err)
	} else {
		attributes = append(attributes, "status", response.StatusCode)
	}
	log.Debug("asked", attributes...)
}
