package cloud

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Call is one thing that was asked of the cloud.
type Call struct {
	Time      time.Time // of arrival
	Service   string    // "imds", "sts", "ecr", …, "dns", "proxy"
	Operation string    // as the cloud's own documentation calls it
	Host      string    // the host that was asked, as the request named it
	Summary   string    // who asked for what, without secrets
	Protocol  string    // that it was asked by, such as "HTTP/1.1"; empty: not HTTP
	Status    int       // HTTP status; 0: no answer was given, or not yet
}

// Violation is a request that its real service would refuse for its form, or
// that no real service would have got. A program without defects makes none.
type Violation struct {
	Time    time.Time
	Service string
	Host    string
	Reason  string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s at %s: %s", v.Service, v.Host, v.Reason)
}

// Calls is the journal of a cloud. A call is in it before its answer leaves,
// so whoever has the answer finds the call, and whoever has seen a program end
// finds all that it asked: reading the journal waits for that, and so does
// Reset. The zero value is empty, and all methods may be used at the same time.
type Calls struct {
	settle func() // nil: nothing is waited for

	mu         sync.Mutex
	calls      []*Call
	violations []Violation
}

// All returns the calls in order of arrival.
func (c *Calls) All() []Call {
	c.lock()
	defer c.mu.Unlock()
	all := make([]Call, 0, len(c.calls))
	for _, call := range c.calls {
		all = append(all, *call)
	}
	return all
}

// Of returns the calls of one operation of a service, in order of arrival. An
// empty operation stands for all of them.
func (c *Calls) Of(service, operation string) []Call {
	return slices.DeleteFunc(c.All(), func(call Call) bool {
		return call.Service != service || operation != "" && call.Operation != operation
	})
}

// Count is the number of calls of one operation of a service. An empty
// operation stands for all of them.
func (c *Calls) Count(service, operation string) int {
	return len(c.Of(service, operation))
}

// Violations returns what no program without defects would have asked.
func (c *Calls) Violations() []Violation {
	c.lock()
	defer c.mu.Unlock()
	return slices.Clone(c.violations)
}

// Reset forgets the calls and violations so far.
func (c *Calls) Reset() {
	c.lock()
	defer c.mu.Unlock()
	c.calls, c.violations = nil, nil
}

// lock takes the journal when what has been asked is in it.
func (c *Calls) lock() {
	if c.settle != nil {
		c.settle()
	}
	c.mu.Lock()
}

// String is the journal as a table for people, one line a call and one a
// violation.
func (c *Calls) String() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, call := range c.All() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", call.Time.Format("15:04:05.000"),
			call.Service, call.Operation, status(call.Status), call.Host, call.Summary)
	}
	_ = table.Flush() // a strings.Builder takes everything
	for _, violation := range c.Violations() {
		fmt.Fprintf(&text, "violation: %s\n", violation)
	}
	return text.String()
}

func status(code int) string {
	if code == 0 {
		return "-"
	}
	return fmt.Sprint(code)
}

// open journals a call that has just arrived.
func (c *Calls) open(call Call) *record {
	call.Time = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, &call)
	return &record{calls: c, call: &call}
}

func (c *Calls) violate(service, host, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.violations = append(c.violations, Violation{time.Now(), service, host, reason})
}

// record is a call that is being answered.
type record struct {
	calls *Calls
	call  *Call
}

func (r *record) answered(status int) {
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	r.call.Status = status
}

func (r *record) summarize(summary string) {
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	r.call.Summary = summary
}
