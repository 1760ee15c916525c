package cache

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"regcred/shared/credential"
	"regcred/shared/redact"
)

// failed is the last failure since the last success. Its texts are a
// credential.Failure's.
type failed struct {
	Problem   string        `json:"problem"`
	Advice    string        `json:"advice,omitempty"`
	Evidence  string        `json:"evidence,omitempty"`
	Permanent bool          `json:"permanent,omitempty"`
	Count     int           `json:"count"`
	At        stamp         `json:"at"`
	Retry     time.Duration `json:"retry"`
}

// record makes the stored form of a failure that took some time and follows an
// earlier one, or none.
func record(err error, took time.Duration, earlier *failed, now Instant) *failed {
	failure, ok := errors.AsType[*credential.Failure](err)
	if !ok {
		failure = &credential.Failure{Err: err}
	}
	f := &failed{Permanent: failure.Permanent, Count: 1, At: now.stamp()}
	if earlier != nil && now.since(earlier.At) < earlier.Retry+keepFailure {
		f.Count = min(earlier.Count, maxCount) + 1
	}
	f.Retry = retryPoint(failure, f.Count, took)

	note := ""
	if cached, ok := errors.AsType[*cachedFailure](err); ok {
		// Of a token on the way. It is as old as it was there.
		note = cached.note
		f.Permanent, f.Count, f.At, f.Retry = cached.failed.Permanent, cached.failed.Count, cached.failed.At, cached.failed.Retry
	}
	// Whoever is told later knows none of the secrets that this process holds.
	secrets := credential.Known()
	clean := func(text string) string { return redact.Line(strings.Replace(text, note, "", 1), secrets...) }
	f.Problem = clean(problem(err, failure))
	f.Advice = clean(failure.Advice)
	f.Evidence = clean(failure.Evidence)
	return f
}

// problem returns what an error says beyond the advice and evidence of the
// failure in its chain.
func problem(err error, failure *credential.Failure) string {
	bare := credential.Failure{Problem: failure.Problem, Err: failure.Err}
	return strings.Replace(err.Error(), failure.Error(), bare.Error(), 1)
}

// failed reports whether the last failure is so recent that trying again is
// not due.
func (e entry) failed(now Instant) bool {
	return e.Failed != nil && now.since(e.Failed.At) < e.Failed.Retry
}

// failure returns the recorded failure as an error that says so.
func (e entry) failure(now Instant) error {
	age := now.since(e.Failed.At)
	left := e.Failed.Retry - age
	cached := &cachedFailure{
		failed:  *e.Failed,
		failure: e.Failed.texts(),
		note: fmt.Sprintf(" (happened %s ago to another process; next attempt in %s)",
			age.Round(100*time.Millisecond), left.Round(100*time.Millisecond)),
	}
	cached.failure.Permanent, cached.failure.RetryAfter = e.Failed.Permanent, left
	return cached
}

// texts returns the texts of a recorded failure, which are still to be printed.
func (f *failed) texts() credential.Failure {
	return credential.Failure{Problem: redact.Line(f.Problem), Advice: redact.Line(f.Advice), Evidence: redact.Line(f.Evidence)}
}

// cachedFailure is the error of a failure that was recorded earlier.
type cachedFailure struct {
	failed  failed
	failure credential.Failure
	note    string
}

func (c *cachedFailure) Error() string { return c.failure.Error() + c.note }

func (c *cachedFailure) Unwrap() error { return &c.failure }
