package cloudhttp

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
)

func TestReport(t *testing.T) {
	for want, report := range map[string]Report{
		"sts at sts.example: status 403 AccessDenied: no (request 1)": {Stage: "sts", Host: "sts.example", Status: 403, Code: "AccessDenied", Text: "no", ID: "request 1"},
		"sts at sts.example: connection reset":                        {Stage: "sts", Host: "sts.example", Text: "connection reset"},
		"sts at sts.example: status 500":                              {Stage: "sts", Host: "sts.example", Status: 500},
		"sts at sts.example: status 400 invalid_grant":                {Stage: "sts", Host: "sts.example", Status: 400, Code: "invalid_grant"},
		"credentials: no such file: /key":                             {Stage: "credentials", Text: "no such file: /key"},
	} {
		if got := report.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWhyThereIsNoAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		err                  error
		refused, unreachable bool
	}{
		"nothing listens": {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true, true},
		"no route":        {fmt.Errorf("asking: %w", &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}), false, true},
		"broken off":      {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, false, false},
		"something else":  {errors.New("no"), false, false},
		"nothing":         {},
	} {
		if Refused(tc.err) != tc.refused || Unreachable(tc.err) != tc.unreachable {
			t.Errorf("%s: refused %t, unreachable %t", name, Refused(tc.err), Unreachable(tc.err))
		}
	}
}
