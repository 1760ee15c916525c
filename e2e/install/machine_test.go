//go:build linux

package install_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
)

// result is what a run of the tool came to.
type result struct {
	code           int
	stdout, stderr string
}

// patience is how long a run of the tool may take.
const patience = 2 * time.Minute

// run runs the tool.
func run(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, regcred, args...)
	command.Env = []string{"PATH=/usr/bin:/bin"}
	return finish(t, command)
}

func finish(t *testing.T, command *exec.Cmd) result {
	t.Helper()
	return await(t, command, (*exec.Cmd).Start)
}

// await starts a program and waits for its end.
func await(t *testing.T, command *exec.Cmd, start func(*exec.Cmd) error) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := start(command); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // The exit code tells.
	r := result{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if r.code == 1 && strings.Count(r.stderr, "\n") > 1 && !strings.Contains(r.stderr, "waiting for another run") {
		t.Errorf("a failure of more than a line: %q", r.stderr)
	}
	return r
}

// want fails the test unless a run ended with a code and said the words.
func (r result) want(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, word := range words {
		if !strings.Contains(r.stdout+r.stderr, word) {
			t.Errorf("no word of %q in\n%s%s", word, r.stdout, r.stderr)
		}
	}
}

// mount mounts a file system until the test ends.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		t.Skipf("mount %s: %v", kind, err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
}

// memory is a directory in memory with so much space.
func memory(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	mount(t, "none", dir, "tmpfs", 0, "mode=0755,size="+size)
	return dir
}

// image is an image of an EKS node that is being built.
func image(t *testing.T, dir string) {
	t.Helper()
	write(t, dir, "etc/eks/image-credential-provider/config.json", vendorConfig, 0o640)
	write(t, dir, "etc/eks/image-credential-provider/ecr-credential-provider", "#!/bin/sh\necho the vendor's\n", 0o755)
	write(t, dir, "etc/os-release", "ID=amzn\n", 0o644)
	for _, name := range []string{"var/lib", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

const vendorConfig = `{
  "apiVersion": "kubelet.config.k8s.io/v1",
  "kind": "CredentialProviderConfig",
  "providers": [
    {
      "name": "ecr-credential-provider",
      "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
      "defaultCacheDuration": "12h0m0s",
      "matchImages": ["*.dkr.ecr.*.amazonaws.com"]
    }
  ]
}
`

func write(t *testing.T, dir, name, text string, mode fs.FileMode) {
	t.Helper()
	full := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// snapshot is every file below directories, with all that there is to it but
// the times of directories.
func snapshot(t *testing.T, dirs ...string) string {
	t.Helper()
	var lines []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := os.Lstat(name)
			if err != nil {
				return err
			}
			stat := info.Sys().(*syscall.Stat_t)
			line := fmt.Sprintf("%s %s %d:%d", name, info.Mode(), stat.Uid, stat.Gid)
			switch {
			case info.Mode().IsRegular():
				text, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				line += fmt.Sprintf(" %d %x", info.ModTime().UnixNano(), sha256.Sum256(text))
			case info.Mode()&fs.ModeSymlink != 0:
				target, err := os.Readlink(name)
				if err != nil {
					return err
				}
				line += " -> " + target
			}
			lines = append(lines, line)
			return nil
		})
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// machine is this machine with whatever is written kept apart, on which a
// kubelet runs as kubeadm sets it up.
type machine struct {
	t     *testing.T
	root  string
	cloud *cloud.Cloud // of which it has the addresses
}

// newMachine makes a machine beside those of other tests.
func newMachine(t *testing.T) *machine {
	t.Helper()
	t.Parallel()
	apart := memory(t, "1g")
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(apart, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m := &machine{t: t, root: filepath.Join(apart, "root")}
	mount(t, "overlay", m.root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", apart, apart))
	mount(t, "/proc", m.root+"/proc", "", syscall.MS_BIND|syscall.MS_REC, "")
	mount(t, "/dev", m.root+"/dev", "", syscall.MS_BIND|syscall.MS_REC, "")
	mount(t, "none", m.root+"/run", "tmpfs", 0, "mode=0755")
	for _, name := range []string{"/", "/etc", "/var", "/usr", "/run"} {
		if err := os.Chmod(m.root+name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kubelet", "systemctl"} {
		copyFile(t, self, m.path("/usr/bin/"+name))
	}
	for _, name := range []string{"regcred", "ecr-credential-provider", "gcr-credential-provider"} {
		copyFile(t, cloudtest.Binary(name), m.path("/usr/bin/"+name))
	}
	write(t, m.root, "usr/lib/systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS\n", 0o644)
	write(t, m.root, "etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "[Service]\nEnvironmentFile=-/etc/default/kubelet\n", 0o644)
	write(t, m.root, "run/test/args", "", 0o600)
	m.cloud = cloudtest.Apart(t)
	m.systemctl("restart", "kubelet.service")
	t.Cleanup(func() {
		if pid := m.kubelet(); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	m.wantWell()
	return m
}

func (m *machine) path(name string) string { return m.root + name }

// copyFile copies a program. Its own file it has to be: links do not leave
// their file system.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(to)
	cloudtest.Program(t, to, text)
}

// command is a run of a program of the machine's.
func (m *machine) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, program, args...)
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: m.root}
	command.Dir = "/"
	command.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}
	return command
}

// finish runs a program on the machine.
func (m *machine) finish(command *exec.Cmd) result {
	m.t.Helper()
	return await(m.t, command, m.cloud.Start)
}

func (m *machine) run(args ...string) result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	return m.finish(m.command(ctx, "/usr/bin/regcred", args...))
}

func (m *machine) systemctl(args ...string) {
	m.t.Helper()
	m.finish(m.command(m.t.Context(), "/usr/bin/systemctl", args...)).want(m.t, 0)
}

// kubelet is the process of the machine's kubelet, or 0.
func (m *machine) kubelet() int {
	m.t.Helper()
	if pid := m.started(); alive(pid) {
		return pid
	}
	return 0
}

// started is the process that systemctl started last, or 0.
func (m *machine) started() (pid int) {
	text, err := os.ReadFile(m.path(pidFile))
	if err == nil {
		_, _ = fmt.Sscan(string(text), &pid) // It may be about to be written.
	}
	return pid
}

// wantRestart waits until another process than the former was started.
func (m *machine) wantRestart(former int) {
	m.t.Helper()
	cloudtest.Eventually(m.t, "the kubelet is restarted", func() bool {
		pid := m.started()
		return pid != 0 && pid != former
	})
}

// arguments are those of the machine's kubelet.
func (m *machine) arguments() string {
	m.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", m.kubelet()))
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\x00", " ")
}

// wantWell waits for the kubelet to say that it is well.
func (m *machine) wantWell() {
	m.t.Helper()
	client := http.Client{Transport: &http.Transport{
		DialContext:       func(_ context.Context, _, address string) (net.Conn, error) { return m.cloud.Dial(address) },
		DisableKeepAlives: true,
	}}
	cloudtest.Eventually(m.t, "the kubelet is well", func() bool {
		response, err := client.Get("http://127.0.0.1:10248/healthz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		return err == nil && string(text) == "ok"
	})
}

// state is what regcred may change on the machine.
func (m *machine) state() string {
	m.t.Helper()
	return snapshot(m.t, m.path("/etc"), m.path("/usr/libexec/kubernetes"), m.path("/var/lib/regcred"), m.path("/usr/lib/systemd/system"))
}
