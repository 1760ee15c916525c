package kubelet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// plugins are the processes of a plugin that this kubelet is running.
func (k *kubelet) plugins() []int {
	k.t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", k.process.Pid))
	if err != nil {
		k.t.Fatal(err)
	}
	var running []int
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(children)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				k.t.Fatal(err)
			}
			if program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && strings.HasSuffix(program, "-credential-provider") {
				running = append(running, pid)
			}
		}
	}
	return running
}

// leader is the one plugin process that talks to the cloud: it holds a socket
// and the others hold none.
func (k *kubelet) leader() int {
	k.t.Helper()
	var talking []int
	eventually(k.t, "one plugin process holds a socket", func() bool {
		talking = slices.DeleteFunc(k.plugins(), func(pid int) bool { return !holdsSocket(pid) })
		return len(talking) == 1
	})
	return talking[0]
}

func holdsSocket(pid int) bool {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && strings.HasPrefix(target, "socket:") {
			return true
		}
	}
	return false
}

// signal sends a signal to a plugin process of this kubelet.
func (k *kubelet) signal(pid int, signal syscall.Signal) {
	k.t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		k.t.Fatalf("send %s to plugin process %d: %v", signal, pid, err)
	}
}
