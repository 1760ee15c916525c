package cloud

import (
	"os"
	"os/exec"
	"strconv"
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

// unread reports whether something has arrived at one of some ports in the
// namespace that is still to be read: a connection that is to be accepted, one
// whose other end was closed, a datagram.
func (t *thread) unread(ports map[uint16]bool) bool {
	proc := "/proc/self"
	if t != nil {
		proc = t.proc
	}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		content, _ := os.ReadFile(proc + "/net/" + table) // there may be no such protocol
		for line := range strings.Lines(string(content)) {
			// Number, local and remote address, state, transmit and receive
			// queue, as the kernel's proc_net_tcp.rst has them.
			fields := strings.Fields(line)
			if len(fields) < 5 {
				continue
			}
			local, remote, queue := ports[port(fields[1])], ports[port(fields[2])], !strings.HasSuffix(fields[4], ":00000000")
			switch state := fields[3]; {
			case local && state == closeWait, remote && state == finWait1, local && queue && (state == listen || state == unconnected):
				return true
			}
		}
	}
	return false
}

// States of sockets, as the kernel's tcp_states.h numbers them.
const (
	finWait1    = "04" // closed here, of which the other end does not know
	unconnected = "07" // of datagrams
	closeWait   = "08" // closed by the other end
	listen      = "0A" // whose queue is of connections
)

// port is that of an address in the kernel's tables, 0 for none.
func port(address string) uint16 {
	_, digits, _ := strings.Cut(address, ":")
	number, _ := strconv.ParseUint(digits, 16, 16) // a table's headline has none
	return uint16(number)
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
