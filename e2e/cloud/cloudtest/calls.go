package cloudtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
)

// Calls is what a cloud was asked, in order: "SERVICE OPERATION HOST".
type Calls []string

// WantCalls fails the test unless the cloud was asked exactly that since the
// last time. Names are looked up only if they do not exist; then they count.
func WantCalls(t *testing.T, c *cloud.Cloud, want ...Calls) {
	t.Helper()
	var got Calls
	for _, call := range c.Calls.All() {
		got = append(got, call.Service+" "+call.Operation+" "+call.Host)
	}
	if want := slices.Concat(want...); !slices.Equal(got, want) {
		t.Errorf("the cloud was asked\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	if len(c.Calls.Violations()) == 0 {
		c.Calls.Reset()
	}
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

// Eventually waits for a condition that something else brings about.
func Eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20s: %s", what)
		}
	}
}
