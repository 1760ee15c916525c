package acr_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// The service is updated for up to 70 seconds, and the kubelet kills a plugin
// after 60: what came back last has to be said before. Each of the machines here
// asks alone, and all at the same time. Some are given up before the budget ends.
func TestAMachinesServiceThatDoesNotRecoverIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault cloud.Fault
		says  string
	}{
		{"recovers, and then the registry hangs", nil, "exchange at " + registry},
		{"throttled", cloud.Refusal{Status: http.StatusTooManyRequests, Code: "too_many_requests"}, "imds at " + imdsAPI + ": status 429"},
		{"throttled for long", cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: 40 * time.Second}, "imds at " + imdsAPI + ": status 429"},
		{"being updated", cloud.Refusal{Status: http.StatusGone, Code: "gone"}, "imds at " + imdsAPI + ": status 410"},
		{"not there", cloud.Refusal{Status: http.StatusNotFound, Code: "not_found"}, "imds at " + imdsAPI + ": status 404"},
		{"out of order", cloud.Refusal{Status: http.StatusInternalServerError, Code: "unknown"}, "imds at " + imdsAPI + ": status 500"},
		{"reset", cloud.Reset{}, "connection reset"},
		{"hangs", cloud.Hang{}, "imds at " + imdsAPI},
	}
	n := bootOutside(t)
	n.serve(registry)
	n.Cloud.Faults.Always("acr", "", cloud.Hang{})
	machines := map[string]http.Handler{} // by the client id that is asked for
	journals := map[string]*cloud.Calls{}
	id := func(i int) string { return fmt.Sprintf("d0000000-0000-4000-8000-%012d", i) }
	for i, test := range tests {
		calls, faults := &cloud.Calls{}, &cloud.Faults{}
		machine := azure.New(calls, faults)
		if test.fault != nil {
			faults.Always("imds", "", test.fault)
		} else {
			faults.First(3, "imds", "", cloud.Refusal{Status: http.StatusGone})
			machine.Configure(func(s *azure.Settings) { s.IMDS.User = []azure.ManagedIdentity{{ClientID: id(i)}} })
		}
		machines[id(i)], journals[id(i)] = machine.IMDS(), calls
	}
	all := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		machines[r.URL.Query().Get("client_id")].ServeHTTP(w, r)
	})
	if err := n.Cloud.Serve(netip.MustParseAddrPort("169.254.169.254:80"), all); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	runs := make([]*cloudtest.Invocation, len(tests))
	for i := range tests {
		q := cloudtest.Question{Image: image, Args: []string{"--cache-dir=", "--client-id", id(i)}}
		runs[i] = n.Begin(t.Context(), q)
	}
	for i, run := range runs {
		a := answer{run.Answer(), n}
		a.WantFailure(1, registry+": ", tests[i].says, "managed identity "+id(i))
		asked := journals[id(i)].Count("imds", "")
		if asked < 1 || asked > 8 {
			t.Errorf("%s: asked %d times", tests[i].name, asked)
		}
		t.Logf("%s: %d questions, %s", tests[i].name, asked, a.Stderr)
	}
	if took := time.Since(begin); took > cloudtest.Patience {
		t.Errorf("the last gave up after %s", took)
	} else {
		t.Logf("the last gave up after %s", took)
	}
}
