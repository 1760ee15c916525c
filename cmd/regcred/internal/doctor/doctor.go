// Package doctor looks a node over: the kubelet's credential providers, what
// they need and what stands in their way. Every check is made, whatever the
// others find; a check that breaks or hangs is a result like any other.
//
// Nothing of a report is secret. Files are read as the kubelet's user reads
// them, programs are run as the kubelet runs them, and those of this suite are
// asked with --check, since only a cloud's plugin knows its cloud.
package doctor

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/cmd/regcred/internal/cluster"
	"regcred/cmd/regcred/internal/node"
	"regcred/cmd/regcred/internal/registry"
	"regcred/cmd/regcred/internal/suite"
	"regcred/shared/version"
)

// Options say what is looked at.
type Options struct {
	// Node is the node's kubelet.
	Node *node.Node

	// Cluster is the way to the API server, or why there is none.
	Cluster func(context.Context) (*cluster.Client, error)

	// Hosts is how the container runtime gets to registries.
	Hosts registry.Hosts

	// Proxy is the proxy to a URL that the container runtime pulls through. Nil
	// means that of this process's environment.
	Proxy func(*url.URL) (*url.URL, error)

	// Images are asked for besides those that the kubelet has pulled.
	Images []string

	// Before is how long ahead something ends soon. Zero is DefaultBefore.
	Before time.Duration

	// Only are the names or codes of checks and findings that are wanted, and
	// Skip of those that are not. No Only means all.
	Only, Skip []string

	// System is what the operating system is asked. The zero value is this
	// machine.
	System System

	// Limit is how long a check may take. Zero is somewhat more than the kubelet
	// lets a plugin run.
	Limit time.Duration

	// Slow is how long a cloud may take without a word about it. Zero is ten
	// seconds.
	Slow time.Duration

	// Progress is told which checks are going on, each time that this changes.
	// Nil is told nothing.
	Progress func(running []string)
}

const (
	// DefaultBefore is what ends soon.
	DefaultBefore = 24 * time.Hour

	// checkLimit is how long a check may take: some run a plugin, which has a
	// minute, after all programs have told their release.
	checkLimit = attemptLimit + 3*suite.Limit
)

// Names returns an error that names the first that is of no check and no
// finding.
func Names(names ...string) error {
	for _, name := range names {
		if !slices.ContainsFunc(Catalogue(), func(c Check) bool { return c.is(name) }) {
			return fmt.Errorf("no check or finding %.80q: see --list", name)
		}
	}
	return nil
}

// Examine looks a node over.
func Examine(ctx context.Context, o Options) Report {
	if o.Limit == 0 {
		o.Limit = checkLimit
	}
	if o.Before == 0 {
		o.Before = DefaultBefore
	}
	if o.Slow == 0 {
		o.Slow = slowCloud
	}
	o.System = o.System.orThis()
	s := newSubject(ctx, o)
	report := Report{
		APIVersion: APIVersion, Kind: Kind, Version: version.Version(),
		Node: clean(o.Node.Name), Time: o.System.Now().UTC().Truncate(time.Second), Timings: map[string]float64{},
	}
	if o.Node.Process != nil {
		report.Kubelet = clean(o.Node.Process.String())
	}
	wanted := slices.DeleteFunc(Catalogue(), func(c Check) bool { return c.run == nil || !o.wants(c) })
	results := make([][]Result, len(wanted))
	took := make([]time.Duration, len(wanted))
	var running progress
	running.tell = o.Progress
	run := func(late bool) {
		var group sync.WaitGroup
		for i, check := range wanted {
			if check.late != late {
				continue
			}
			group.Go(func() {
				running.change(check.Name, true)
				defer running.change(check.Name, false)
				begin := time.Now()
				results[i] = o.run(check, s)
				took[i] = time.Since(begin)
			})
		}
		group.Wait()
	}
	run(false)
	run(true)
	for i, check := range wanted {
		report.Results = append(report.Results, results[i]...)
		report.Timings[check.Name] = took[i].Round(time.Millisecond).Seconds()
	}
	report.finish()
	return report
}

// wants reports whether a check is to be made.
func (o Options) wants(c Check) bool {
	if len(o.Only) > 0 && !slices.ContainsFunc(o.Only, c.is) {
		return false
	}
	// Skipping one of its findings does not skip a check.
	return !slices.ContainsFunc(o.Skip, func(name string) bool {
		return c.is(name) && !slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.is(name) })
	})
}

// shows reports whether a result of a check is wanted.
func (o Options) shows(c Check, r Result) bool {
	f := Finding{Code: r.Code, Name: r.Name}
	if r.Name != c.Name && slices.ContainsFunc(o.Skip, f.is) {
		return false
	}
	if len(o.Only) == 0 || r.Name == c.Name {
		return true
	}
	return slices.ContainsFunc(o.Only, func(name string) bool {
		return f.is(name) || c.is(name) && !slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.is(name) })
	})
}

// run makes a check, and ends in time whatever it does.
func (o Options) run(c Check, s *subject) []Result {
	r := &recorder{check: c, only: func(r Result) bool { return o.shows(c, r) }}
	done := make(chan string, 1)
	go func() {
		defer func() {
			problem := ""
			if value := recover(); value != nil {
				problem = fmt.Sprintf("%T in %s", value, panicked())
			}
			done <- problem
		}()
		c.run(s, r)
	}()
	broken := &recorder{check: Catalogue()[0]}
	timer := time.NewTimer(o.Limit)
	defer timer.Stop()
	select {
	case problem := <-done:
		if problem == "" {
			return r.all()
		}
		broken.find("check-broken", c.Name, "the check "+c.Name+" ended by a fault of its own", "report it, with what is found here", problem)
		return append(r.all(), broken.results...)
	case <-timer.C:
		// What it has taken down may be written to still.
		broken.find("check-unfinished", c.Name, fmt.Sprintf("the check %s did not come to its end within %s", c.Name, o.Limit), "")
		return broken.results
	case <-s.ctx.Done():
		broken.find("check-unfinished", c.Name, "the check "+c.Name+" was stopped", "")
		return broken.results
	}
}

// panicked says where a panic came from. What it says is not repeated: it may
// hold anything.
func panicked() string {
	frames := runtime.CallersFrames(callers())
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, "internal/doctor.check") || strings.Contains(frame.Function, "internal/doctor.(*subject)") {
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return "a place that is not known"
		}
	}
}

func callers() []uintptr {
	pcs := make([]uintptr, 64)
	return pcs[:runtime.Callers(3, pcs)]
}

// progress tells which checks are going on.
type progress struct {
	mu      sync.Mutex
	running []string
	tell    func([]string)
}

func (p *progress) change(name string, begins bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if begins {
		p.running = append(p.running, name)
	} else {
		p.running = slices.DeleteFunc(p.running, func(n string) bool { return n == name })
	}
	if p.tell != nil {
		p.tell(slices.Clone(p.running))
	}
}
