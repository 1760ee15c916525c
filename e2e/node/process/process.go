// Package process runs the parts of a node: each writes a log of its own, and
// an error about one names it and says what it said last.
package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// grace is how long a part may take to stop.
const grace = 10 * time.Second

// Process is a part that was started.
type Process struct {
	Name string
	Log  string // path of the file with everything it wrote

	command *exec.Cmd
	ended   chan struct{} // closed when it has
	err     error         // of Wait; read after ended is closed
}

// Start starts a part whose log is in a directory. A part that is started again
// continues its log.
func Start(logs, name string, command *exec.Cmd) (*Process, error) {
	p := &Process{Name: name, Log: filepath.Join(logs, name+".log"), command: command, ended: make(chan struct{})}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer log.Close()
	command.Stdout, command.Stderr = log, log
	// A group, so that what it started can be stopped with it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID is the process's.
func (p *Process) PID() int { return p.command.Process.Pid }

// Ready waits until check returns nil. It gives up with the context, and at
// once when the part ends.
func (p *Process) Ready(ctx context.Context, check func(context.Context) error) error {
	for {
		last := check(ctx)
		if last == nil {
			return nil
		}
		if err := p.Ended(); err != nil {
			return err
		}
		select {
		case <-p.ended:
		case <-ctx.Done():
			return p.failed(fmt.Sprintf("is not ready: %v", last))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Ended returns an error when the part has ended by itself.
func (p *Process) Ended() error {
	select {
	case <-p.ended:
		return p.failed(fmt.Sprintf("ended by itself: %v", p.err))
	default:
		return nil
	}
}

// Stop ends the part and its children. One that has ended by itself is an
// error.
func (p *Process) Stop() error {
	if err := p.Ended(); err != nil {
		return err
	}
	group := -p.command.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM) // it may just have ended
	select {
	case <-p.ended:
		return nil
	case <-time.After(grace):
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	<-p.ended
	return p.failed(fmt.Sprintf("did not stop within %s", grace))
}

func (p *Process) failed(what string) error {
	return fmt.Errorf("%s %s\n%s ends with:\n%s", p.Name, what, p.Log, p.tail(8))
}

// tail is the last lines of the log.
func (p *Process) tail(count int) string {
	content, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
