package credential

import (
	"errors"
	"strings"
	"time"
)

// ErrStopped is in the chain of an error that a signal caused: the process was
// told to stop, which says nothing of the cloud.
var ErrStopped = errors.New("stopped by a signal")

// Failure is an error of a cloud, in the order in which an operator reads it,
// with what it means for the next attempt. An error that is not a Failure
// counts as one that may pass by itself.
type Failure struct {
	// Problem is what is wrong, in plain words. Empty means Err's own.
	Problem string

	// Advice is what to do. Empty where that is plain or not known: a wrong
	// hint costs more than none.
	Advice string

	// Evidence is what was seen: stage, endpoint, status, code, request id,
	// and who asked. Empty for a failure before anybody was asked.
	Evidence string

	// Err is the cause, for errors.Is and errors.As. It may be nil if Problem
	// is not empty.
	Err error

	// Permanent means that the same request would be refused again: somebody
	// has to change something first.
	Permanent bool

	// RetryAfter is how long the cloud asked to be left alone. Zero means it
	// did not say.
	RetryAfter time.Duration
}

// Error is one line: "PROBLEM: ADVICE [EVIDENCE]".
func (f *Failure) Error() string {
	var b strings.Builder
	switch {
	case f.Problem != "":
		b.WriteString(f.Problem)
	case f.Err != nil:
		b.WriteString(f.Err.Error())
	}
	if f.Advice != "" {
		b.WriteString(": " + f.Advice)
	}
	if f.Evidence != "" {
		b.WriteString(" [" + f.Evidence + "]")
	}
	return b.String()
}

func (f *Failure) Unwrap() error { return f.Err }
