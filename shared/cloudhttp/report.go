package cloudhttp

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// Report is what a service answered, or did not, in words that are the same for
// all clouds. Whatever is empty is left out.
type Report struct {
	// Stage is what the service was asked for.
	Stage, Host string
	// Status is zero if there was no answer.
	Status     int
	Code, Text string
	// ID is what the service knows the request by, with what that is called.
	ID string
}

// String is the report on one line:
//
//	STAGE at HOST: status STATUS CODE: TEXT (ID)
func (r Report) String() string {
	var b strings.Builder
	b.WriteString(r.Stage)
	if r.Host != "" {
		b.WriteString(" at " + r.Host)
	}
	b.WriteString(":")
	if r.Status != 0 {
		fmt.Fprintf(&b, " status %d", r.Status)
	}
	if r.Code != "" {
		b.WriteString(" " + r.Code)
	}
	if r.Text != "" {
		if r.Code != "" {
			b.WriteString(":")
		}
		b.WriteString(" " + r.Text)
	}
	if r.ID != "" {
		b.WriteString(" (" + r.ID + ")")
	}
	return b.String()
}

// Refused reports whether an error is that nothing listens, or not yet.
func Refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// Unreachable reports whether an error is that no connection came about.
func Unreachable(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial"
}
