package cloud

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// TestEnter runs this test binary, which enters a namespace of its own, with
// TestHelperInside in the role of the program.
func TestEnter(t *testing.T) {
	tests := []struct {
		name, role string
		signal     os.Signal // sent to the outer process once the inner one runs
		code       int
	}{
		{"success is passed on", "succeed", nil, 0},
		{"the exit code is passed on", "exit 7", nil, 7},
		{"death by a signal reads as in a shell", "die", nil, 128 + 9},
		{"a signal to the outer process reaches the inner one", "wait", syscall.SIGTERM, 42},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			outer := helperInside(t, test.role)
			if test.signal != nil {
				awaitReady(t, outer.ready)
				if err := outer.Process.Signal(test.signal); err != nil {
					t.Fatal(err)
				}
			}
			if code := outer.code(t); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
		})
	}
}

func TestTheProgramInsideDiesWithTheOneOutside(t *testing.T) {
	outer := helperInside(t, "wait")
	awaitReady(t, outer.ready)
	if err := outer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	outer.code(t)
	// The inner program holds the writing end of the pipe until it is gone.
	if err := outer.ready.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := outer.ready.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the program inside still runs: %v", err)
	}
}

func TestAMarkerFromElsewhereDoesNotMountOverTheMachine(t *testing.T) {
	here, err := mountNamespace()
	if err != nil {
		t.Fatal(err)
	}
	if err := prepare(here); !errors.Is(permitted(err), ErrUnsupported) {
		t.Errorf("error %v, want %v", err, ErrUnsupported)
	}
}

// TestHelperInside is the program of the tests above.
func TestHelperInside(t *testing.T) {
	role := os.Getenv("HELPER_ROLE")
	if role == "" {
		t.Skip("not run as a helper")
	}
	switch role {
	case "succeed":
		os.Exit(0)
	case "exit 7":
		os.Exit(7)
	case "die":
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		select {}
	case "wait":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		if _, err := os.Stdout.WriteString("r"); err != nil {
			t.Fatal(err)
		}
		<-signals
		os.Exit(42)
	}
}

type helper struct {
	*exec.Cmd
	ready *os.File // its standard output: one byte when the program waits, end of file when it is gone
}

func helperInside(t *testing.T, role string) helper {
	t.Helper()
	if !entered() {
		t.Skip(ErrUnsupported)
	}
	reading, writing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reading.Close() })
	defer writing.Close()
	outer := exec.Command("/proc/self/exe", "-test.run=^TestHelperInside$")
	outer.Env = append(os.Environ(), "HELPER_ROLE="+role)
	outer.Stdout, outer.Stderr = writing, os.Stderr
	if err := outer.Start(); err != nil {
		t.Fatal(err)
	}
	return helper{Cmd: outer, ready: reading}
}

func (h helper) code(t *testing.T) int {
	t.Helper()
	var exit *exec.ExitError
	if err := h.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return h.ProcessState.ExitCode()
}

func awaitReady(t *testing.T, ready *os.File) {
	t.Helper()
	if err := ready.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the program inside did not start: %v", err)
	}
}
