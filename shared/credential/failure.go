package credential

import (
	"errors"
	"time"
)

// ErrStopped is in the chain of an error that a signal caused: the process was
// told to stop, which says nothing of the cloud.
var ErrStopped = errors.New("stopped by a signal")

// Failure is an error of a cloud with what it means for the next attempt. An
// error that is not a Failure counts as one that may pass by itself.
type Failure struct {
	Err error

	// Text is what an operator reads instead of Err's own text. Empty means
	// Err's.
	Text string

	// Permanent means that the same request would be refused again: somebody
	// has to change something first.
	Permanent bool

	// RetryAfter is how long the cloud asked to be left alone. Zero means it
	// did not say.
	RetryAfter time.Duration
}

func (f *Failure) Error() string {
	if f.Text != "" {
		return f.Text
	}
	return f.Err.Error()
}

func (f *Failure) Unwrap() error { return f.Err }
