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
