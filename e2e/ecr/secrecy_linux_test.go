package ecr_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// The limits allow a core file, the runtime wants one, and there is none: it
// would hold the token. What the runtime prints instead holds none either.
func TestNoCoreIsDumped(t *testing.T) {
	const unlimited = `cd "$1" && shift && ulimit -c unlimited && exec "$@"`
	for _, signal := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGSEGV} {
		t.Run(signal.String(), func(t *testing.T) {
			control := exec.Command("sh", "-c", unlimited, "sh", t.TempDir(), "sleep", "60")
			if err := control.Start(); err != nil {
				t.Fatal(err)
			}
			cloudtest.Eventually(t, "sleep", func() bool { return strings.Contains(executable(control), "sleep") })
			_ = control.Process.Signal(signal)
			_ = control.Wait()
			if status, ok := control.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.CoreDump() {
				t.Skipf("nothing dumps its core here: %s", control.ProcessState)
			}

			n := bootNode(t)
			n.addRole(shopRole, shop)
			p := n.pod(shop)
			q := p.question(registry + "/app").as(shopRole)
			q.Env = []string{"GOTRACEBACK=crash"}
			hanging := n.startHanging(q, "sh", "-c", unlimited, "sh", t.TempDir(), plugin)
			if err := hanging.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			a := hanging.answer()
			if status, ok := hanging.ProcessState.Sys().(syscall.WaitStatus); !ok || status.CoreDump() {
				t.Errorf("ended with %s", hanging.ProcessState)
			}
			if a.Exit == 0 || a.Stdout != "" {
				t.Errorf("exit code %d and %d bytes on stdout", a.Exit, len(a.Stdout))
			}
			if strings.Contains(a.Stderr, p.token) || cloudtest.Secret(a.Stderr) != "" {
				t.Error("a token is on stderr")
			}
		})
	}
}

func executable(command *exec.Cmd) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", command.Process.Pid))
	return path
}

// Other processes of the same user cannot look into a run: they would find the
// token in its memory. Root's capabilities are taken from both sides here.
func TestARunIsClosedToItsOwnUser(t *testing.T) {
	unprivileged := []string{"--inh-caps=-all", "--bounding-set=-all"}
	look := func(pid int) error {
		looker := exec.Command("setpriv", append(unprivileged, "cat", fmt.Sprintf("/proc/%d/environ", pid))...)
		return looker.Run()
	}
	open := exec.Command("setpriv", append(unprivileged, "sleep", "60")...)
	if err := open.Start(); err != nil {
		t.Skipf("no setpriv: %v", err)
	}
	defer func() { _ = open.Process.Kill(); _ = open.Wait() }()
	cloudtest.Eventually(t, "sleep", func() bool { return strings.Contains(executable(open), "sleep") })
	if err := look(open.Process.Pid); err != nil {
		t.Skipf("here every process is closed: %v", err)
	}

	n := bootNode(t)
	hanging := n.startHanging(question{Image: registry + "/app"}, "setpriv", append(unprivileged, plugin)...)
	if err := look(hanging.Process.Pid); err == nil {
		t.Error("its environment can be read, and so can its memory")
	}
	_ = hanging.Process.Kill()
	hanging.answer()
}
