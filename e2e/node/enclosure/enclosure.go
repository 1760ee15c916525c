// Package enclosure ends everything that a program started when the program
// ends, however it ends.
//
// A node's processes are not all children of who started the node: containers
// belong to a shim that belongs to nobody. In a process namespace of their own
// the kernel ends them with the first process, and their mounts with the last
// process that sees them. Control groups would be left: in an enclosure they
// are all made inside of one, which is removed.
package enclosure

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// marker names the enclosure's control group, for the program inside.
const marker = "REGCRED_ENCLOSURE"

// Check returns why this program may not have an enclosure, with a network and
// mounts of its own.
func Check() error {
	if os.Geteuid() != 0 {
		return errors.New("enclosure: only root may have one")
	}
	probe := exec.Command("true")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	if err := probe.Run(); err != nil {
		return fmt.Errorf("enclosure: %w", err)
	}
	return nil
}

// Enter starts the program again as the first process of an enclosure, with
// the same arguments and standard streams. For the program outside it returns
// only on failure, and exits with the code of the one inside. Inside it
// returns nil.
//
// Outside, and only there, prepare is called before: the other namespaces that
// it enters are those of the enclosure.
func Enter(prepare func() error) error {
	group, inside := os.LookupEnv(marker)
	if !inside {
		if err := prepare(); err != nil {
			return err
		}
		return fmt.Errorf("enclosure: %w", reenter())
	}
	if os.Getpid() != 1 {
		return fmt.Errorf("enclosure: %s is set outside of one", marker)
	}
	if err := os.Unsetenv(marker); err != nil {
		return fmt.Errorf("enclosure: %w", err)
	}
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("enclosure: keep mounts inside: %w", err)
	}
	// What is mounted there shows the processes outside.
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("enclosure: mount /proc: %w", err)
	}
	if err := mountGroup(group); err != nil {
		return fmt.Errorf("enclosure: %w", err)
	}
	return nil
}

// Empty kills everything in the enclosure but the program itself.
func Empty() error {
	if os.Getpid() != 1 {
		return errors.New("enclosure: this is not the first process of one")
	}
	if err := syscall.Kill(-1, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("enclosure: kill what is left: %w", err)
	}
	return nil
}

func reenter() error {
	if err := removeAbandonedGroups(); err != nil {
		return err
	}
	group, err := makeGroup()
	if err != nil {
		return err
	}
	code, err := run(group)
	if err := errors.Join(err, removeGroup(group)); err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

// run runs the program inside and returns its exit code.
func run(group string) (code int, err error) {
	// The kernel counts the thread that starts a child as its parent: were
	// that thread to end, the child would be killed.
	runtime.LockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)

	child := &exec.Cmd{
		Path:   "/proc/self/exe",
		Args:   os.Args,
		Env:    append(os.Environ(), marker+"="+group),
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWCGROUP,
			Pdeathsig:  syscall.SIGKILL,
		},
	}
	if err := visitGroup(group, child.Start); err != nil {
		return 0, err
	}
	go func() {
		for received := range signals {
			_ = child.Process.Signal(received) // it may just have ended
		}
	}()
	var exit *exec.ExitError
	if err := child.Wait(); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if code := child.ProcessState.ExitCode(); code >= 0 {
		return code, nil
	}
	return 1, nil // a signal ended it
}
