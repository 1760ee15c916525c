package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"regcred/shared/program"
)

// Process is a process that is a kubelet, or has one in it.
type Process struct {
	PID int

	// Program is what it is: kubelet, k3s, kubelite (MicroK8s') or microshift.
	Program string

	// Command is its command line.
	Command []string

	proc string // its directory in /proc
	base string // its file tree
	env  []string
	dir  string
}

// String says which process it is.
func (p *Process) String() string {
	if p.Program == "kubelet" {
		return fmt.Sprintf("process %d", p.PID)
	}
	return fmt.Sprintf("in %s, process %d", p.Program, p.PID)
}

// Before reports whether the process started before a file, or a file in a
// directory, was last written. It reports false where that cannot be told.
func (p *Process) Before(path string) bool {
	started, ok := p.started()
	if !ok {
		return false
	}
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if info.ModTime().After(started) {
		return true
	}
	entries, _ := os.ReadDir(path) // which is an error for a file
	for _, entry := range entries {
		// Links are followed: a mounted ConfigMap is made of them.
		if info, err := os.Stat(filepath.Join(path, entry.Name())); err == nil && info.ModTime().After(started) {
			return true
		}
	}
	return false
}

// ticks is how many make a second in /proc, on every platform that Go has.
const ticks = 100

// started is when the process started. The kernel tells it from when it did so
// itself, to the second.
func (p *Process) started() (time.Time, bool) {
	stat, err := readFile(filepath.Join(p.proc, "stat"))
	if err != nil {
		return time.Time{}, false
	}
	// The program's name, in brackets, may have anything in it.
	_, fields, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	const startTime = 22 - 3 // Fields are counted from 1, and two are cut off.
	after, err := strconv.ParseInt(nth(strings.Fields(fields), startTime), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	system, err := readFile(filepath.Join(filepath.Dir(p.proc), "stat"))
	if err != nil {
		return time.Time{}, false
	}
	for line := range strings.Lines(string(system)) {
		if text, ok := strings.CutPrefix(line, "btime "); ok {
			boot, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			// Up to a second is lost of either, and nothing is said of that.
			return time.Unix(boot+after/ticks+2, 0), err == nil
		}
	}
	return time.Time{}, false
}

func nth(words []string, n int) string {
	if n < len(words) {
		return words[n]
	}
	return ""
}

// findProcess finds the kubelet's process, or notes what is there instead.
func (n *Node) findProcess() error {
	proc := filepath.Join(n.root, "proc")
	if n.given.PID != 0 {
		p, err := readProcess(proc, n.given.PID)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("no process %d", n.given.PID)
		case err != nil:
			return fmt.Errorf("process %d: %w", n.given.PID, err)
		case p.Program == "":
			return fmt.Errorf("process %d is no kubelet: %s", n.given.PID, strings.Join(p.Command, " "))
		}
		n.use(p, proc)
		return nil
	}
	entries, _ := os.ReadDir(proc)
	if len(entries) == 0 {
		n.note("there are no processes to look at in %s", proc)
		return nil
	}
	var here, elsewhere, others, distrusted []*Process
	seen := 0
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		p, err := readProcess(proc, pid)
		if err != nil {
			continue // It has ended, or is none of ours to see.
		}
		seen++
		switch {
		case p.Program == "":
			if service(p.Command) != "" {
				others = append(others, p)
			}
		case !trusted(p.proc):
			distrusted = append(distrusted, p)
		case n.ownTree(p, proc):
			here = append(here, p)
		default:
			elsewhere = append(elsewhere, p)
		}
	}
	byPID := func(a, b *Process) int { return cmp.Compare(a.PID, b.PID) }
	for _, list := range [][]*Process{here, elsewhere, others, distrusted} {
		slices.SortFunc(list, byPID)
	}
	switch {
	case len(here) > 0:
		n.use(here[0], proc)
		if len(here) > 1 {
			n.note("there are %d kubelets (processes %s): the first one is looked at; --kubelet-pid chooses", len(here), pids(here))
		}
	case len(elsewhere) > 0:
		n.note("a kubelet runs in a container (process %s): run regcred there, or give --kubelet-pid %d", pids(elsewhere), elsewhere[0].PID)
	case len(distrusted) > 0:
		n.note("a process that is called like a kubelet (%s) does not run as root and is not believed: --kubelet-pid %d says that it is one", pids(distrusted), distrusted[0].PID)
	case len(others) > 0:
		n.note("%s runs (process %d), but no kubelet", service(others[0].Command), others[0].PID)
	case seen <= 1:
		n.note("processes of other users cannot be seen here: run it as root, or in a pod with hostPID")
	default:
		n.note("none of %d processes is a kubelet", seen)
	}
	return nil
}

// use takes a process for the kubelet's.
func (n *Node) use(p *Process, proc string) {
	n.Process = p
	p.base = n.root
	if !sameTree(filepath.Join(proc, "self"), p.proc) {
		p.base = filepath.Join(p.proc, "root")
	}
	p.dir = "/"
	if dir, err := os.Readlink(filepath.Join(p.proc, "cwd")); err == nil && filepath.IsAbs(dir) {
		p.dir = strings.TrimSuffix(dir, " (deleted)")
	}
	environ, err := readFile(filepath.Join(p.proc, "environ"))
	if err != nil {
		n.note("the kubelet's environment cannot be read (%s): run it as root", err)
		return
	}
	p.env = []string{}
	for _, variable := range split(environ) {
		if strings.Contains(variable, "=") {
			p.env = append(p.env, variable)
		}
	}
}

// ownTree reports whether a process has the file tree of the node: ours, or,
// for a tool that runs in a container, that of the first process. A kubelet
// that has another runs in a container, where it may be anybody's.
func (n *Node) ownTree(p *Process, proc string) bool {
	if sameTree(filepath.Join(proc, "self"), p.proc) {
		return true
	}
	// What cannot be told here is no reason to believe a process.
	first, err := os.Readlink(filepath.Join(proc, "1", "ns/mnt"))
	if err != nil {
		return false
	}
	own, err := os.Readlink(filepath.Join(p.proc, "ns/mnt"))
	return err == nil && first == own
}

// sameTree reports whether two processes have the same mounts, as far as this
// can be told.
func sameTree(a, b string) bool {
	first, err := os.Readlink(filepath.Join(a, "ns/mnt"))
	if err != nil {
		return true
	}
	second, err := os.Readlink(filepath.Join(b, "ns/mnt"))
	return err != nil || first == second
}

// readProcess reads a process's command line.
func readProcess(proc string, pid int) (*Process, error) {
	p := &Process{PID: pid, proc: filepath.Join(proc, strconv.Itoa(pid))}
	text, err := readFile(filepath.Join(p.proc, "cmdline"))
	if err != nil {
		return nil, err
	}
	p.Command = split(text)
	// k3s writes a title of its own over its command line, to hide its token.
	if len(p.Command) == 1 {
		if words := strings.Fields(p.Command[0]); len(words) > 1 && filepath.Base(words[0]) == "k3s" {
			p.Command = words
		}
	}
	p.Program = kubeletIn(p.Command)
	return p, nil
}

// split splits what /proc separates with NUL.
func split(text []byte) []string {
	text = bytes.TrimRight(text, "\x00")
	if len(text) == 0 {
		return nil
	}
	return strings.Split(string(text), "\x00")
}

// kubeletIn says which program with a kubelet in it a command line is of. Empty
// means none.
func kubeletIn(command []string) string {
	if len(command) == 0 {
		return ""
	}
	for _, once := range []string{"--version", "--help", "-h"} {
		if slices.Contains(command, once) {
			return ""
		}
	}
	first := ""
	if len(command) > 1 {
		first = command[1]
	}
	switch name := filepath.Base(command[0]); {
	case name == "kubelet", name == "hyperkube" && filepath.Base(first) == "kubelet":
		return "kubelet"
	case name == "k3s" && (first == "server" || first == "agent") && !slices.Contains(command, "--disable-agent"),
		name == "k3s-server", name == "k3s-agent":
		return "k3s"
	case name == "kubelite":
		return "kubelite"
	case name == "microshift" && first == "run":
		return "microshift"
	}
	return ""
}

// service is what a command line is of that has something to do with images,
// or empty.
func service(command []string) string {
	if len(command) == 0 {
		return ""
	}
	switch name := filepath.Base(command[0]); name {
	case "rke2", "k0s", "k3s", "containerd", "crio", "dockerd", "cri-dockerd":
		return name
	}
	return ""
}

func pids(list []*Process) string {
	all := make([]string, 0, len(list))
	for _, p := range list {
		all = append(all, strconv.Itoa(p.PID))
	}
	return strings.Join(all, ", ")
}

// Version asks the kubelet's program for its version, such as v1.37.2.
func (n *Node) Version(ctx context.Context) (string, error) {
	if n.Process == nil {
		return "", errors.New("no kubelet runs here")
	}
	if n.Process.Program == "kubelite" || n.Process.Program == "microshift" {
		return "", fmt.Errorf("%s does not tell its kubelet's version", n.Process.Program)
	}
	// The file that runs, also where another has taken its place since.
	command := program.New(filepath.Join(n.Process.proc, "exe"), "--version")
	command.Limit = 5 * time.Second
	stdout, err := command.Run(ctx)
	if err != nil {
		return "", fmt.Errorf("version of the kubelet: %w", err)
	}
	for word := range strings.FieldsSeq(string(stdout)) {
		if len(word) > 1 && word[0] == 'v' && word[1] >= '0' && word[1] <= '9' {
			return word, nil
		}
	}
	return "", errors.New("version of the kubelet: none in what it prints")
}
