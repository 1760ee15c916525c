package cloud

import (
	"os"
	"os/exec"
	"slices"
	"strings"
)

// thread is one that is in a namespace of its own. A nil thread stands for any:
// all of the program's are in the one that Enter made.
type thread struct {
	proc string // the thread's directory in /proc
	jobs chan func()
}

// do runs a function in the namespace. A socket stays there that is opened so,
// and so does a program that is started.
func (t *thread) do(f func() error) error {
	if t == nil {
		return f()
	}
	done := make(chan error)
	t.jobs <- func() { done <- f() }
	return <-done
}

// path is a path in the namespace, as all threads see it.
func (t *thread) path(path string) string {
	if t == nil {
		return path
	}
	return t.proc + "/root" + path
}

// connected reports whether there is a TCP connection in the namespace that one
// of its ends has not closed.
func (t *thread) connected() bool {
	proc := "/proc/self"
	if t != nil {
		proc = t.proc
	}
	// As include/net/tcp_states.h numbers them: closing on both sides, or no
	// connection at all.
	over := []string{"05", "06", "07", "09", "0A", "0B"}
	for _, table := range []string{"tcp", "tcp6"} {
		content, _ := os.ReadFile(proc + "/net/" + table) // there may be no such protocol
		for i, line := range strings.Split(strings.TrimSpace(string(content)), "\n") {
			if fields := strings.Fields(line); i > 0 && len(fields) > 3 && !slices.Contains(over, fields[3]) {
				return true
			}
		}
	}
	return false
}

// end leaves the namespace to the programs that are still in it.
func (t *thread) end() {
	if t != nil {
		close(t.jobs)
	}
}

// Start starts a program on the machine: in the namespace of the cloud.
func (c *Cloud) Start(command *exec.Cmd) error {
	return c.thread.do(command.Start)
}

// Path is where this program finds a file of the machine's, whose programs know
// it as path.
func (c *Cloud) Path(path string) string { return c.thread.path(path) }
