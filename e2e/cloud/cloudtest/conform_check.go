package cloudtest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
)

// checkReport is what is looked at of what --check prints.
type checkReport struct {
	APIVersion, Kind, Plugin, Version, Outcome, Image, Source string

	Expires *time.Time
	Failure *struct{ Problem, Advice, Evidence string }
	Asked   []struct {
		Host   string
		Times  int
		Status int
		Date   *time.Time
	}
}

func (n *Node[F]) check(stdin []byte, args ...string) (Answer, checkReport) {
	n.T.Helper()
	a := n.Write(With(n.Own(args...), "--check"), stdin)
	var report checkReport
	if err := json.Unmarshal([]byte(a.Stdout), &report); err != nil || a.Stderr != "" {
		n.T.Fatalf("%v: exit code %d, %s, %s", err, a.Exit, a.Stdout, a.Stderr)
	}
	if report.APIVersion != "regcred/v1" || report.Kind != "CredentialCheck" || report.Plugin != n.Kind.Plugin || report.Version == "" {
		n.T.Errorf("report %+v", report)
	}
	return a, report
}

// A check asks as an answer does, tells what came of it and not the credential,
// and changes nothing for the runs after it.
func (s Suite[F]) check(t *testing.T) {
	n := s.boot(t)
	first := n.WantLogin(n.Ask(n.Own()), n.Image(0), n.Machine.Owner)
	n.WantCalls(n.Machine.Calls)

	a, report := n.check(n.Own().Request())
	if a.Exit != 0 || report.Outcome != "obtained" || report.Image == "" || report.Source == "" || report.Expires == nil || !report.Expires.After(time.Now()) {
		t.Errorf("exit code %d, %+v", a.Exit, report)
	}
	n.WantCalls(n.Machine.Calls)
	dated := false
	for _, asked := range report.Asked {
		// A host that is asked several things at once says last what it says, be it
		// that there is no such thing.
		dated = dated || asked.Date != nil && asked.Status != 0 && time.Since(*asked.Date).Abs() < time.Minute
	}
	if !dated {
		t.Errorf("nobody says what time it is: %+v", report.Asked)
	}
	if strings.Contains(a.Stdout, first.Password) {
		t.Error("a password is told")
	}

	// Without a request, it is the node's identity by itself.
	a, report = n.check(nil)
	if a.Exit != 0 || report.Outcome != "obtained" || report.Image != "" || report.Source == "" {
		t.Errorf("exit code %d, %+v", a.Exit, report)
	}
	n.Cloud.Calls.Reset()

	// What was in the cache is still there.
	if again := n.WantLogin(n.Ask(n.Own()), n.Image(0), n.Machine.Owner); again.Password != first.Password {
		t.Error("another password than before the checks")
	}
	n.WantCalls()

	// A failure is told, and is not recorded for others.
	for _, service := range n.Services {
		n.Cloud.Faults.Always(service, "", cloud.Refusal{Status: http.StatusForbidden})
	}
	for _, stdin := range [][]byte{nil, n.Own().Request()} {
		a, report = n.check(stdin, "--cache-dir=")
		if a.Exit != 1 || report.Outcome != "failed" || report.Failure == nil || report.Failure.Problem == "" || len(report.Asked) == 0 {
			t.Errorf("exit code %d, %+v", a.Exit, report)
		}
	}
}
