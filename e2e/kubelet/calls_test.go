package kubelet_test

import (
	"maps"
	"testing"

	"regcred/e2e/cloud"
)

// calls counts what a cloud was asked, by "SERVICE OPERATION".
type calls map[string]int

// wantCalls fails the test unless a cloud was asked exactly that since the last
// time.
func wantCalls(t *testing.T, c *cloud.Cloud, want calls) {
	t.Helper()
	got := calls{}
	for _, call := range c.Calls.All() {
		got[call.Service+" "+call.Operation]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("the cloud was asked %v, want %v", got, want)
	}
	if len(c.Calls.Violations()) == 0 {
		c.Calls.Reset()
	}
}
