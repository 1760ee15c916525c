package cloudtest

import (
	"context"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"regcred/e2e/cloud"
)

// startHanging runs a program, the plugin or one that becomes it, until the
// credential has been asked for, which is not answered.
func (n *Node[F]) startHanging(q Question, way Way[F], program string, args ...string) *Invocation {
	n.T.Helper()
	service, operation := fetch(way.Fetch)
	n.Cloud.Faults.Always(service, operation, cloud.Hang{})
	ctx, cancel := context.WithTimeout(n.T.Context(), Patience)
	n.T.Cleanup(cancel)
	r := n.Start(q.Command(ctx, program, args...))
	Eventually(n.T, "the cloud is asked", func() bool { return n.Cloud.Calls.Count(service, operation) > 0 })
	return r
}

// A node that shuts down does not wait for a cloud. That the plugin was stopped
// says nothing of the cloud, so nothing is recorded.
func (s Suite[F]) signals(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s.ways(t, func(n *Node[F], way Way[F], e Errand) {
				hanging := n.startHanging(e.Question, way, n.Plugin)
				begin := time.Now()
				if err := hanging.Process.Signal(signal); err != nil {
					n.T.Fatal(err)
				}
				hanging.Answer().WantFailure(1, "stopped by a signal", n.Registry(0)+": ")
				if took := time.Since(begin); took > Soon {
					n.T.Errorf("ended after %s", took)
				}
				// What is kept by itself, and was obtained on the way, is good.
				left := entries(n.T, n.Cloud)
				if obtained := len(way.Calls) - len(way.Refresh); obtained == 0 && len(left) != 0 {
					n.T.Errorf("left %v", left)
				}
				n.Cloud.Faults.Clear()
				n.Cloud.Calls.Reset()
				n.WantLogin(n.Ask(e.Question), e.Image, e.Owner)
				n.WantCalls(way.Refresh)
			})
		})
	}
}

// Somebody may stop a run that is asking, or it is traced. Those that wait for it
// ask for themselves, one of them for all.
func (s Suite[F]) stopped(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		service, operation := fetch(way.Fetch)
		hanging := n.startHanging(e.Question, way, n.Plugin)
		if err := exec.Command("kill", "-STOP", strconv.Itoa(hanging.Process.Pid)).Run(); err != nil {
			n.T.Fatal(err)
		}
		defer func() { _ = hanging.Process.Kill(); hanging.Answer() }()
		n.Cloud.Faults.Clear()
		n.Cloud.Calls.Reset()
		ctx, cancel := context.WithTimeout(n.T.Context(), Patience)
		defer cancel()
		var waiting []*Invocation
		for range 5 {
			waiting = append(waiting, n.Begin(ctx, e.Question))
		}
		for _, run := range waiting {
			a := run.Answer()
			a.Stderr = "" // a word of whom was passed over
			n.WantLogin(a, e.Image, e.Owner)
			a.WantWithin(Later)
		}
		n.WantAtMost(1, service, operation)
	})
}

// The kubelet may be started by hand, or by something that closes what it does
// not need.
func (s Suite[F]) surroundings(t *testing.T) {
	for _, test := range []struct {
		name, script string
		env          []string
	}{
		{"nothing but the request", `exec "$@"`, nil},
		{"no stderr", `exec "$@" 2>&-`, nil},
		{"home and temporary directory that do not exist", `exec "$@"`, []string{"HOME=/nonexistent", "TMPDIR=/nonexistent", "XDG_RUNTIME_DIR=/nonexistent"}},
		{"home that is no directory", `exec "$@"`, []string{"HOME=/dev/null"}},
		{"umask that lets everybody read", `umask 0; exec "$@"`, nil},
		{"umask that lets nobody read", `umask 0777; exec "$@"`, nil},
		{"working directory that is gone", `d=$(mktemp -d) && cd "$d" && rmdir "$d" && exec "$@"`, nil},
		{"few open files", `ulimit -n 32; exec "$@"`, nil},
		{"no PATH", `unset PATH; exec "$@"`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s.ways(t, func(n *Node[F], way Way[F], e Errand) {
				q := e.Question
				q.Env = append(slices.Clone(q.Env), test.env...)
				run := n.Start(q.Command(n.T.Context(), "sh", "-c", test.script, "sh", n.Plugin))
				n.WantLogin(run.Answer(), q.Image, e.Owner)
				n.WantLogin(n.Ask(q), q.Image, e.Owner)
				n.WantCalls(way.Calls)
			})
		})
	}
}
