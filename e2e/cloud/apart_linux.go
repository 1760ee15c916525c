package cloud

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// newThread makes a thread with network and mount namespaces of its own, ready
// for a Cloud, which end with it. The runtime starts no other thread from it.
func newThread() (*thread, error) {
	outside, err := mountNamespace()
	if err != nil {
		return nil, err
	}
	t := &thread{jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread is of no use to anybody else.
		runtime.LockOSThread()
		// A mount namespace is not for threads that share a working directory.
		err := syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET)
		if err != nil {
			err = fmt.Errorf("cloud: %w", err)
		} else {
			err = prepare(outside)
		}
		t.proc = fmt.Sprintf("/proc/%d/task/%d", os.Getpid(), syscall.Gettid())
		ready <- permitted(err)
		for job := range t.jobs {
			job()
		}
	}()
	if err := <-ready; err != nil {
		close(t.jobs)
		return nil, err
	}
	return t, nil
}
