package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(t.TempDir(), "kubelet", exec.Command("/bin/sh", "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func wantError(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", says)
	}
	for _, word := range says {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

func TestAPartThatEndsIsNamedWithItsLastWords(t *testing.T) {
	p := start(t, "echo no configuration >&2; exit 3")
	err := p.Ready(t.Context(), func(context.Context) error { return errors.New("nobody listens") })
	wantError(t, err, "kubelet ended by itself", "exit status 3", p.Log, "no configuration")
	wantError(t, p.Stop(), "kubelet ended by itself")
}

func TestAPartThatDoesNotGetReadyIsNamedWithTheReason(t *testing.T) {
	p := start(t, "echo thinking; sleep 60")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := p.Ready(ctx, func(context.Context) error { return errors.New("nobody listens") })
	wantError(t, err, "kubelet is not ready", "nobody listens", "thinking")
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func TestStopEndsWhatThePartStarted(t *testing.T) {
	directory := t.TempDir()
	child := filepath.Join(directory, "child")
	p, err := Start(directory, "kubelet", exec.Command("/bin/sh", "-c", `mkfifo "$0"; cat "$0" & echo ready; wait`, child))
	if err != nil {
		t.Fatal(err)
	}
	err = p.Ready(t.Context(), func(context.Context) error {
		log, err := os.ReadFile(p.Log)
		if err == nil && string(log) != "ready\n" {
			err = errors.New("no child yet")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	// Who opens a pipe to write without waiting is told that nobody reads.
	deadline := time.Now().Add(10 * time.Second)
	for {
		pipe, err := os.OpenFile(child, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if errors.Is(err, syscall.ENXIO) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		pipe.Close()
		if time.Now().After(deadline) {
			t.Fatal("the part's child lives")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
