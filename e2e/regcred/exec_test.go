//go:build linux

package regcred_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/cloudtest"
)

// variables are those of what a program printed of its environment.
func variables(text string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		found[name] = value
	}
	return found
}

// left are files of exec that are still there.
func (m *machine) left() []string {
	var all []string
	for _, dir := range []string{"/run", "/dev/shm"} {
		found, _ := filepath.Glob(m.Cloud.Path(dir) + "/regcred-exec-*")
		all = append(all, found...)
	}
	return all
}

func TestExecHandsACredentialOver(t *testing.T) {
	t.Parallel()
	m := boot(t, clouds.All()[0])
	m.start()
	exit, stdout, stderr := m.run("exec", m.kubeletFlag(), m.Image(0)+":v1", "--", "sh", "-c",
		`env; echo CONFIG=$(cat "$REGISTRY_AUTH_FILE"); echo MODES=$(stat -c %a "$REGISTRY_AUTH_FILE" "$DOCKER_CONFIG"); echo DISK=$(stat -f -c %T "$DOCKER_CONFIG"); echo ARGS=$(tr '\0' ' ' < /proc/$PPID/cmdline); exit 7`)
	got := variables(stdout)
	user, password, _ := strings.Cut(got["CRICTL_CREDS"], ":")
	owner, err := m.Whose(m.Image(0), user, password)
	if exit != 7 || err != nil || owner != m.Machine.Owner || stderr != "" {
		t.Fatalf("exit code %d, a login of %q, %v\n%s", exit, owner, err, stderr)
	}
	auth := base64.StdEncoding.EncodeToString([]byte(got["CRICTL_CREDS"]))
	want := `{"auths":{"` + m.Registry(0) + `":{"auth":"` + auth + `"}}}`
	if got["DOCKER_AUTH_CONFIG"] != want || got["CONFIG"] != want || filepath.Join(got["DOCKER_CONFIG"], "config.json") != got["REGISTRY_AUTH_FILE"] {
		t.Error("docker's configuration is not that of the login")
	}
	if got["MODES"] != "600 700" || got["DISK"] != "tmpfs" {
		t.Errorf("modes %s, on %s", got["MODES"], got["DISK"])
	}
	if strings.Contains(got["ARGS"], password) || strings.Contains(got["ARGS"], auth) {
		t.Error("the login is in a command line")
	}
	if left := m.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestExecWithoutACredential(t *testing.T) {
	t.Parallel()
	m := boot(t, clouds.All()[0])
	m.start()
	// The login that it would inherit is another image's.
	exit, stdout, stderr := m.run("exec", m.kubeletFlag(), m.Image(0), "--", tool, "exec", m.kubeletFlag(), "registry.example.com/app", "--", "env")
	if exit != 0 || strings.Contains(stdout, "CRICTL_CREDS") || strings.Contains(stdout, "AUTH") || !strings.Contains(stderr, "registry.example.com/app has no credential") {
		t.Errorf("an image that needs none: exit code %d\n%s%s", exit, stdout, stderr)
	}
	says := m.Lose()
	exit, stdout, stderr = m.run("exec", "--fresh", m.kubeletFlag(), m.Image(0), "--", "echo", "started")
	if exit != 1 || stdout != "" || !strings.Contains(stderr, says[0]) {
		t.Errorf("a provider that fails: exit code %d\n%s%s", exit, stdout, stderr)
	}
	m.Regain()
	for command, want := range map[string]int{"/none": 127, m.path("providers.json"): 126} {
		exit, _, stderr = m.run("exec", "--fresh", m.kubeletFlag(), m.Image(0), "--", command)
		if exit != want || !strings.Contains(stderr, command) {
			t.Errorf("%s: exit code %d; want %d\n%s", command, exit, want, stderr)
		}
	}
	if exit, _, _ = m.run("exec", m.Image(0), "true"); exit != 2 {
		t.Errorf("without --: exit code %d", exit)
	}
	if left := m.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestExecPassesSignalsOn(t *testing.T) {
	t.Parallel()
	m := boot(t, clouds.All()[0])
	m.start()
	for _, test := range []struct {
		script string
		signal syscall.Signal
		want   int
	}{
		{"trap 'exit 9' TERM; : > STARTED; while :; do sleep 0.05; done", syscall.SIGTERM, 9},
		{": > STARTED; exec sleep 60", syscall.SIGHUP, 128 + int(syscall.SIGHUP)},
		{": > STARTED; exec sleep 60", syscall.SIGINT, 128 + int(syscall.SIGINT)},
	} {
		started := m.path("started")
		_ = os.Remove(started)
		command := exec.Command(tool, "exec", m.kubeletFlag(), m.Image(0), "--", "sh", "-c", strings.ReplaceAll(test.script, "STARTED", started))
		command.Dir, command.Env = "/", []string{"PATH=/usr/bin:/bin"}
		if err := m.Cloud.Start(command); err != nil {
			t.Fatal(err)
		}
		cloudtest.Eventually(t, "the command has started", func() bool {
			_, err := os.Stat(started)
			return err == nil
		})
		if len(m.left()) != 1 {
			t.Errorf("while it runs: %q", m.left())
		}
		if err := command.Process.Signal(test.signal); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(30*time.Second, func() { _ = command.Process.Kill() })
		_ = command.Wait() // The exit code tells.
		late.Stop()
		if got := command.ProcessState.ExitCode(); got != test.want {
			t.Errorf("%s: exit code %d; want %d", test.signal, got, test.want)
		}
		if left := m.left(); len(left) > 0 {
			t.Errorf("%s: left behind: %q", test.signal, left)
		}
	}
}

// What a process that was killed left behind is removed by the next one.
func TestExecTidiesUp(t *testing.T) {
	t.Parallel()
	m := boot(t, clouds.All()[0])
	m.start()
	dir := m.Cloud.Path("/dev/shm") + "/regcred-exec-1"
	if _, stdout, _ := m.run("exec", m.kubeletFlag(), m.Image(0), "--", "sh", "-c", "echo $DOCKER_CONFIG"); strings.HasPrefix(stdout, "/run/") {
		dir = m.Cloud.Path("/run") + "/regcred-exec-1"
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, name := range []string{"lock", "config.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func() {
		t.Helper()
		if exit, _, stderr := m.run("exec", m.kubeletFlag(), m.Image(0), "--", "true"); exit != 0 {
			t.Fatalf("exit code %d\n%s", exit, stderr)
		}
	}
	run()
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("a directory that may be being made: %v", err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dir, old, old); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	run()
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("a directory that is in use: %v", err)
	}
	_ = lock.Close()
	run()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a directory that was left behind: %v", err)
	}
}
