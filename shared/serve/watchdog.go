package serve

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// watchdogTimeout ends a run that the budget could not: one that reads a
	// stdin which nobody finishes writing, or a file that does not answer.
	watchdogTimeout = 55 * time.Second

	// lastWords is for how long the watchdog waits for its message to be
	// written: stderr itself may be what is stuck.
	lastWords = 2 * time.Second
)

// step is what a run is at, for the watchdog.
type step struct{ text atomic.Value }

func (s *step) set(text string) { s.text.Store(text) }

func (s *step) String() string {
	text, _ := s.text.Load().(string)
	return text
}

// watch exits when the run takes too long, having said where it is stuck.
func (p *process) watch(exit func(code int)) {
	time.AfterFunc(watchdogTimeout, func() {
		problem, code := "no answer", 1
		if p.answered.Load() {
			problem, code = "no end", 0
		}
		line := p.redact(fmt.Sprintf("%s within %s: stuck at %s", problem, watchdogTimeout, &p.step))
		written := make(chan struct{})
		go func() {
			defer close(written)
			_, _ = io.WriteString(p.stderr, p.line(line))
		}()
		go p.record(line)
		select {
		case <-written:
			time.Sleep(lastWords / 10) // for the log
		case <-time.After(lastWords):
		}
		exit(code)
	})
}

// panicked says where a panic came from. What it says is not repeated: it may
// hold anything.
func panicked(value any) string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") && !strings.Contains(frame.Function, "serve.(*process).run.func") {
			return fmt.Sprintf("%T at %s:%d", value, filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return fmt.Sprintf("%T", value)
		}
	}
}
