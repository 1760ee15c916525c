package cloudtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
)

// Calls is what a cloud was asked, in order: "SERVICE OPERATION HOST".
type Calls = []string

// WantCalls fails the test unless the cloud was asked exactly that since the
// last time. What one service is asked in a row may be asked at the same time,
// in any order. Names are looked up only if they do not exist; then they count.
func WantCalls(t *testing.T, c *cloud.Cloud, want ...Calls) {
	t.Helper()
	var got Calls
	for _, call := range c.Calls.All() {
		got = append(got, call.Service+" "+call.Operation+" "+call.Host)
	}
	if want := slices.Concat(want...); !slices.Equal(ordered(got), ordered(want)) {
		t.Errorf("the cloud was asked\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	if len(c.Calls.Violations()) == 0 {
		c.Calls.Reset()
	}
}

// serviceOf, operationOf and hostOf are the parts of a call.
func serviceOf(call string) string   { return strings.Fields(call)[0] }
func operationOf(call string) string { return strings.Fields(call)[1] }
func hostOf(call string) string      { return strings.Fields(call)[2] }

// ordered sorts what one service was asked in a row.
func ordered(calls Calls) Calls {
	calls = slices.Clone(calls)
	for begin := 0; begin < len(calls); {
		end := begin + 1
		for end < len(calls) && serviceOf(calls[end]) == serviceOf(calls[begin]) {
			end++
		}
		slices.Sort(calls[begin:end])
		begin = end
	}
	return calls
}

// Summaries says who asked for what in the calls of one operation, or of all
// of a service's for no operation.
func Summaries(c *cloud.Cloud, service, operation string) []string {
	var all []string
	for _, call := range c.Calls.Of(service, operation) {
		all = append(all, call.Summary)
	}
	return all
}

// Eventually waits for a condition that something else brings about. What takes
// longer is looked at less often.
func Eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for begin := time.Now(); !condition(); {
		waited := time.Since(begin)
		if waited > Later {
			t.Fatalf("not within %s: %s", Later, what)
		}
		time.Sleep(min(max(waited/20, 2*time.Millisecond), 100*time.Millisecond))
	}
}
