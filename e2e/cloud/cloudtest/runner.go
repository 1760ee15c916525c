package cloudtest

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
)

// Runner runs a plugin on a machine, for a test.
type Runner struct {
	T      *testing.T
	Cloud  *cloud.Cloud
	Plugin string // the path of the program
}

// Ask runs the plugin to its end.
func (r Runner) Ask(q Question) Answer {
	r.T.Helper()
	return r.Write(q, q.Request())
}

// Write runs the plugin to its end, with anything on its standard input.
func (r Runner) Write(q Question, stdin []byte) Answer {
	r.T.Helper()
	return Ask(r.T, r.Cloud, r.Plugin, q, stdin)
}

// Begin starts the plugin, which may not end.
func (r Runner) Begin(ctx context.Context, q Question) *Invocation {
	r.T.Helper()
	return r.Start(q.Command(ctx, r.Plugin))
}

// Start starts a program that becomes the plugin.
func (r Runner) Start(command *exec.Cmd) *Invocation {
	r.T.Helper()
	return Start(r.T, r.Cloud, r.Plugin, command)
}

// WantCalls fails the test unless the cloud was asked exactly that since the
// last time.
func (r Runner) WantCalls(want ...Calls) {
	r.T.Helper()
	WantCalls(r.T, r.Cloud, want...)
}

// WantAtMost fails the test if an operation was asked for more often.
func (r Runner) WantAtMost(most int, service, operation string) {
	r.T.Helper()
	if asked := r.Cloud.Calls.Count(service, operation); asked > most {
		r.T.Errorf("%s %s was asked for %d times, want at most %d", service, operation, asked, most)
	}
}

// WantNever fails the test if a service was asked, or an operation of one.
func (r Runner) WantNever(names ...string) {
	r.T.Helper()
	for _, call := range r.Cloud.Calls.All() {
		if slices.Contains(names, call.Service) || slices.Contains(names, call.Service+" "+call.Operation) {
			r.T.Errorf("%s %s was asked of %s", call.Service, call.Operation, call.Host)
		}
	}
}

// WantRecorded fails the test unless the failure of an earlier run is told again
// without a call. It is forgotten after a second if it was the first, so a run
// that comes too late on a busy machine makes it the second, and so on.
func (r Runner) WantRecorded(q Question, says ...string) Answer {
	r.T.Helper()
	var a Answer
	for range 5 {
		r.Cloud.Calls.Reset()
		a = r.Ask(q)
		a.WantFailure(1, says...)
		if strings.Contains(a.Stderr, Recorded) {
			if left := a.NextAttempt(); left > 2*time.Minute {
				r.T.Errorf("the next attempt is in %s", left)
			}
			r.WantCalls()
			return a
		}
	}
	r.T.Errorf("no run says %q", Recorded)
	return a
}
