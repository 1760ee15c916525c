package cloud

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
)

// Enter moves the program into network and mount namespaces of its own, and,
// for a user who is not root, into a user namespace where it is. Call it once,
// first thing in main or TestMain.
//
// The first process starts the program again inside, with the same arguments
// and standard streams, waits for it and exits with its code: for it Enter
// returns only on failure. Inside, Enter prepares the namespace and returns
// nil. The error is ErrUnsupported where namespaces are not permitted.
func Enter() error {
	outside, inside := os.LookupEnv(marker)
	if !inside {
		return reenter()
	}
	// A program started from here gets a namespace of its own when it asks.
	if err := os.Unsetenv(marker); err != nil {
		return fmt.Errorf("cloud: enter: %w", err)
	}
	return permitted(prepare(outside))
}

func reenter() error {
	// The kernel counts the thread that starts a child as its parent: were
	// that thread to end, the child would be killed.
	runtime.LockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)

	child, err := start()
	if err != nil {
		return permitted(err)
	}
	go func() {
		for received := range signals {
			_ = child.Process.Signal(received) // it may just have ended
		}
	}()
	var exit *exec.ExitError
	if err := child.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("cloud: wait for the program inside: %w", err)
	}
	os.Exit(exitCode(child.ProcessState))
	return nil
}

// start runs this program inside. A root that lacks the capability to make
// namespaces, as in most containers, may still have them in a user namespace.
func start() (*exec.Cmd, error) {
	outside, err := mountNamespace()
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		child := inside(outside, 0)
		if err := child.Start(); !errors.Is(err, syscall.EPERM) {
			return child, err
		}
	}
	child := inside(outside, syscall.CLONE_NEWUSER)
	child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	child.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	return child, child.Start()
}

func inside(outside string, flags uintptr) *exec.Cmd {
	return &exec.Cmd{
		Path:   "/proc/self/exe",
		Args:   os.Args,
		Env:    append(os.Environ(), marker+"="+outside),
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | flags,
			Pdeathsig:  syscall.SIGKILL,
		},
	}
}

// exitCode is a shell's: 128 and the number of the signal that ended it.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

func mountNamespace() (string, error) {
	return os.Readlink("/proc/thread-self/ns/mnt")
}

// permitted marks the errors with which kernels and security modules refuse
// namespaces, among them "no space left": the count of them is limited.
func permitted(err error) error {
	refusals := []error{syscall.EPERM, syscall.EACCES, syscall.ENOSYS, syscall.EINVAL, syscall.ENOSPC}
	if slices.ContainsFunc(refusals, func(refusal error) bool { return errors.Is(err, refusal) }) {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return err
}
