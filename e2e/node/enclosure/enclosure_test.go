package enclosure

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// orphanLife makes this test binary the program of the test: in an enclosure
// it starts an orphan, which sleeps for so many seconds. Nobody else's does.
const orphanLife = "REGCRED_ENCLOSURE_TEST"

func TestMain(m *testing.M) {
	life := os.Getenv(orphanLife)
	if life == "" {
		os.Exit(m.Run())
	}
	if err := live(life); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// live makes what must not be left, and ends with its standard input.
func live(life string) error {
	if err := Enter(func() error { return nil }); err != nil {
		return err
	}
	if err := exec.Command("setsid", "--fork", "sleep", life).Run(); err != nil {
		return err
	}
	hierarchies, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		if err := os.MkdirAll(filepath.Join(hierarchy.mount, "k8s.io", "container"), 0o755); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // how it ends is no matter
	return nil
}

func TestNothingIsLeftOfAnEnclosure(t *testing.T) {
	if err := Check(); err != nil {
		t.Skip(err)
	}
	for name, end := range map[string]func(program *exec.Cmd, stdin func() error) error{
		"ended":       func(_ *exec.Cmd, stdin func() error) error { return stdin() },
		"interrupted": func(program *exec.Cmd, _ func() error) error { return program.Process.Signal(syscall.SIGINT) },
		"killed":      func(program *exec.Cmd, _ func() error) error { return program.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			life := strconv.FormatInt(time.Now().UnixNano(), 10)
			program := exec.Command("/proc/self/exe")
			program.Env = append(os.Environ(), orphanLife+"="+life)
			program.Stderr = os.Stderr
			stdin, err := program.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := program.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := program.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
				t.Fatalf("the enclosure says %q: %v", line, err)
			}
			if !runs(t, life) || len(groups(t, program.Process.Pid)) == 0 {
				t.Fatal("there is no orphan, or no control group: nothing is tested")
			}
			if err := end(program, stdin.Close); err != nil {
				t.Fatal(err)
			}
			_ = program.Wait() // its exit code says how it ended
			// What is killed cannot clear away after itself: the next one does.
			if err := removeAbandonedGroups(); err != nil {
				t.Error(err)
			}
			for deadline := time.Now().Add(10 * time.Second); runs(t, life); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the orphan lives")
				}
			}
			if left := groups(t, program.Process.Pid); len(left) != 0 {
				t.Errorf("control groups are left: %q", left)
			}
		})
	}
}

// runs reports whether an orphan lives.
func runs(t *testing.T, life string) bool {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		content, err := os.ReadFile(command)
		if err == nil && strings.HasSuffix(string(content), "\x00"+life+"\x00") {
			return true
		}
	}
	return false
}

// groups are the control groups that a process made.
func groups(t *testing.T, maker int) []string {
	t.Helper()
	hierarchies, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, hierarchy := range hierarchies {
		group := filepath.Join(hierarchy.mount, groupPrefix+strconv.Itoa(maker))
		if _, err := os.Stat(group); err == nil {
			found = append(found, group)
		}
	}
	return found
}
