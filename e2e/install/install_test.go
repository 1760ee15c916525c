//go:build linux

package install_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"regcred/shared/kubelet"
)

// status is what regcred status -o json says.
type status struct {
	APIVersion, Kind string
	Installed        bool
	ConfigHash       string
	Kubelet          struct {
		Running, Told, RestartPending bool
		ConfigHash                    string
	}
	Problems []string
}

func (m *machine) status(code int) (s status) {
	m.t.Helper()
	r := m.run("status", "-o", "json")
	r.want(m.t, code)
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		m.t.Fatalf("%v: %s", err, r.stdout)
	}
	if s.APIVersion != "regcred/v1" || s.Kind != "InstallStatus" {
		m.t.Errorf("got %s of %s", s.Kind, s.APIVersion)
	}
	return s
}

func TestOntoALiveNode(t *testing.T) {
	m := newMachine(t)
	before := m.state()
	if s := m.status(1); s.Installed || !s.Kubelet.Running {
		t.Errorf("before: %+v", s)
	}
	// What is a secret is not shown.
	secret := "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	if r := m.run("install", "--provider", "ecr", "--env", "AWS_SECRET_ACCESS_KEY="+secret, "--dry-run"); r.code != 0 || strings.Contains(r.stdout, secret) || !strings.Contains(r.stdout, "value: [redacted]") {
		t.Errorf("exit code %d:\n%s%s", r.code, r.stdout, r.stderr)
	}
	// A dry run changes nothing and shows everything.
	m.run("install", "--cloud", "aws", "--dry-run").want(t, 0,
		"+ /usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec/ecr-credential-provider", "+++ /etc/regcred/credential-providers.yaml", "+- name: ecr-credential-provider",
		`+Environment="KUBELET_EXTRA_ARGS=--image-credential-provider-bin-dir=/usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec --image-credential-provider-config=/etc/regcred/credential-providers.yaml"`)
	if got := m.state(); got != before {
		t.Errorf("the dry run changed something:\n%s\nwant\n%s", got, before)
	}

	first := m.kubelet()
	m.run("install", "--cloud", "aws").want(t, 0, "left to do: systemctl daemon-reload, and restart the kubelet")
	if got := m.kubelet(); got != first {
		t.Error("the kubelet was restarted without being asked")
	}
	if s := m.status(1); !s.Kubelet.RestartPending || len(s.Problems) != 1 {
		t.Errorf("not restarted: %+v", s)
	}
	m.run("install", "--restart", "--timeout", "6s").want(t, 0, "nothing to change", "the kubelet was restarted, and is back")
	if args := m.arguments(); !strings.Contains(args, "--image-credential-provider-config=/etc/regcred/credential-providers.yaml") {
		t.Errorf("the kubelet was started with %s", args)
	}
	m.run("status").want(t, 0, "/ecr-credential-provider, unchanged, release ")
	if s := m.status(0); s.Kubelet.ConfigHash != s.ConfigHash || s.ConfigHash == "" || len(s.Problems) != 0 {
		t.Errorf("restarted: %+v", s)
	}

	// Again, nothing.
	second, installed := m.kubelet(), m.state()
	m.run("install", "--restart", "--timeout", "6s").want(t, 0, "nothing to change: installed already")
	if m.kubelet() != second || m.state() != installed {
		t.Errorf("the third run did something:\n%s\nwant\n%s", m.state(), installed)
	}
	m.run("install", "--cloud", "aws,gcp", "--restart", "--timeout", "6s").want(t, 0, "installed: ecr-credential-provider, gcr-credential-provider")
	m.status(0)
	textfile := "/run/test/regcred.prom"
	m.run("status", "--textfile", textfile).want(t, 0, "all is well")
	if text, err := os.ReadFile(m.path(textfile)); err != nil || !strings.Contains(string(text), "\nregcred_kubelet_restart_pending 0\n") {
		t.Errorf("the metrics: %v\n%s", err, text)
	}

	write(t, m.root, "run/regcred/entry", "a credential", 0o600)
	m.run("uninstall", "--restart", "--timeout", "6s").want(t, 0, "uninstalled", "the kubelet was restarted, and is back")
	if _, err := os.Stat(m.path("/run/regcred")); !os.IsNotExist(err) {
		t.Errorf("the cache is left: %v", err)
	}
	if got := m.state(); got != before {
		t.Errorf("uninstalled:\n%s\nwant\n%s", got, before)
	}
	if args := m.arguments(); strings.Contains(args, "image-credential") {
		t.Errorf("the kubelet was started with %s", args)
	}
	m.run("uninstall").want(t, 0, "nothing is installed")
}

// What starts the kubelet is not what its files say: it comes back, without the
// flags.
func TestAKubeletThatIsNotToldAfterAll(t *testing.T) {
	m := newMachine(t)
	write(t, m.root, "run/test/ignore-drop-ins", "", 0o600)
	m.run("install", "--cloud", "aws", "--restart", "--timeout", "6s").want(t, 1, "the kubelet was restarted, and is back", "problem: the kubelet has to be restarted: it was not started with the flags yet")
	m.status(1)
}

func TestAKubeletThatDoesNotComeBack(t *testing.T) {
	m := newMachine(t)
	write(t, m.root, refusesFile, "gcr-credential-provider", 0o644)
	m.run("install", "--cloud", "aws", "--restart", "--timeout", "6s").want(t, 0)
	before := m.state()
	m.run("install", "--cloud", "aws,gcp", "--restart", "--timeout", "6s").want(t, 1,
		"kubelet.service did not come back within 6s", "all changes were taken back, and the kubelet runs with the former configuration", "journalctl -u kubelet.service")
	if got := m.state(); got != before {
		t.Errorf("taken back:\n%s\nwant\n%s", got, before)
	}
	m.wantWell()
	m.status(0)
}

// Killed while it watches the kubelet, it leaves everything to the next run.
func TestKilledWhileItWatchesTheKubelet(t *testing.T) {
	m := newMachine(t)
	before := m.state()
	write(t, m.root, refusesFile, "ecr-credential-provider", 0o644)
	command := m.command(t.Context(), "/usr/bin/regcred", "install", "--cloud", "aws", "--restart", "--timeout", "1m")
	former := m.kubelet()
	if err := m.cloud.Start(command); err != nil {
		t.Fatal(err)
	}
	m.wantRestart(former)
	_ = command.Process.Kill()
	_ = command.Wait()
	m.run("status").want(t, 1, "a run of install was stopped")
	m.run("uninstall", "--restart", "--timeout", "6s").want(t, 0, "a run of install that was stopped", "taken back", "nothing is installed")
	if err := os.Remove(m.path(refusesFile)); err != nil {
		t.Fatal(err)
	}
	if got := m.state(); got != before {
		t.Errorf("taken back:\n%s\nwant\n%s", got, before)
	}
}

// Interrupted, it takes everything back by itself.
func TestInterruptedWhileItWatchesTheKubelet(t *testing.T) {
	m := newMachine(t)
	before := m.state()
	former := m.kubelet()
	interrupted := func(command *exec.Cmd) error {
		if err := m.cloud.Start(command); err != nil {
			return err
		}
		m.wantRestart(former)
		return command.Process.Signal(syscall.SIGTERM)
	}
	await(t, m.command(t.Context(), "/usr/bin/regcred", "install", "--cloud", "aws", "--restart", "--timeout", "30s"), interrupted).
		want(t, 1, "interrupted", "all changes were taken back, and the kubelet runs")
	if got := m.state(); got != before {
		t.Errorf("taken back:\n%s\nwant\n%s", got, before)
	}
	m.wantWell()
}

// Whenever it is killed, the kubelet could start with what is there, and the
// next run puts all in order.
func TestKilledAtAnyTime(t *testing.T) {
	dir := memory(t, "300m")
	image(t, dir)
	before := snapshot(t, dir)
	begin := time.Now()
	run(t, "install", "--root", dir, "--cloud", "aws,gcp").want(t, 0)
	took := time.Since(begin)
	run(t, "uninstall", "--root", dir).want(t, 0)
	if got := snapshot(t, dir); got != before {
		t.Fatalf("got\n%s\nwant\n%s", got, before)
	}
	journal := filepath.Join(dir, "var/lib/regcred/journal.json")
	written := func() bool {
		_, err := os.Stat(journal)
		return err == nil
	}
	stopped := 0
	for round := range 40 {
		for _, verb := range [][]string{{"install", "--root", dir, "--cloud", "aws,gcp"}, {"uninstall", "--root", dir}} {
			command := exec.Command(regcred, verb...)
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				_ = command.Wait()
				close(ended)
			}()
			wait := time.Duration(rand.Int64N(int64(took) * 5 / 4))
			// The first run may have taken far longer than those that follow, so
			// every other round begins to count when there is something to stop.
			if round%2 == 0 {
				for running := true; running && !written(); {
					select {
					case <-ended:
						running = false
					case <-time.After(100 * time.Microsecond):
					}
				}
				wait /= 8
			}
			time.Sleep(wait)
			_ = command.Process.Kill()
			<-ended
			wantStarts(t, dir)
			if written() {
				stopped++
			}
		}
		if rand.IntN(2) == 0 {
			run(t, "install", "--root", dir, "--cloud", "aws,gcp").want(t, 0)
			run(t, "status", "--root", dir).want(t, 0)
		}
		run(t, "uninstall", "--root", dir).want(t, 0)
		if got := snapshot(t, dir); got != before {
			t.Fatalf("got\n%s\nwant\n%s", got, before)
		}
	}
	if stopped == 0 {
		t.Error("it was never stopped in the middle")
	}
	t.Logf("stopped in the middle %d times of 80", stopped)
}

// wantStarts fails the test unless a kubelet would start with what is there.
func wantStarts(t *testing.T, dir string) {
	t.Helper()
	bins := filepath.Join(dir, "etc/eks/image-credential-provider")
	config, err := kubelet.Load(filepath.Join(bins, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, provider := range config.Providers {
		if _, err := exec.LookPath(filepath.Join(bins, provider.Name)); err != nil {
			t.Error(err)
		}
	}
}

func TestDiskIsFull(t *testing.T) {
	full, fits := 0, 0
	for _, size := range []string{"40k", "60k", "100k", "1m", "9m", "12m", "20m", "22m", "60m"} {
		t.Run(size, func(t *testing.T) {
			dir := memory(t, size)
			image(t, dir)
			before := snapshot(t, dir)
			r := run(t, "install", "--root", dir, "--cloud", "aws,gcp")
			if r.code == 0 {
				fits++
				run(t, "uninstall", "--root", dir).want(t, 0)
			} else {
				full++
				r.want(t, 1, "no space left on device; nothing was changed")
			}
			if got := snapshot(t, dir); got != before {
				t.Errorf("got\n%s\nwant\n%s", got, before)
			}
		})
	}
	if full == 0 || fits == 0 {
		t.Errorf("the disk was full %d times, and was not %d times", full, fits)
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := memory(t, "60m")
	image(t, dir)
	if err := syscall.Mount("none", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skip(err)
	}
	run(t, "install", "--root", dir).want(t, 1, "read-only file system")
	run(t, "install", "--root", dir, "--dry-run").want(t, 0)
	run(t, "uninstall", "--root", dir).want(t, 1, "read-only file system")
	run(t, "status", "--root", dir).want(t, 1, "nothing is installed")
}

// A program for another machine starts no kubelet, and fails every pull.
func TestAnImageOfAnotherMachine(t *testing.T) {
	dir := memory(t, "60m")
	image(t, dir)
	text, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	const machine = 18 // where ELF has it
	text[machine], text[machine+1] = 183, 0
	if runtime.GOARCH == "arm64" {
		text[machine] = 62
	}
	write(t, dir, "usr/bin/kubelet", string(text), 0o755)
	before := snapshot(t, dir)
	run(t, "install", "--root", dir).want(t, 1, "built for EM_", "this node's /usr/bin/kubelet for EM_")
	if got := snapshot(t, dir); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
	from := t.TempDir()
	for name, content := range map[string]string{"nothing": "", "half of one": "\x7fELF\x02\x01\x01"} {
		write(t, from, "ecr-credential-provider", content, 0o755)
		run(t, "install", "--root", dir, "--from", from).want(t, 1, "ecr-credential-provider")
		if got := snapshot(t, dir); got != before {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, before)
		}
	}
}

// Links in an image lead where they would lead on the node, and never out of
// it.
func TestHostileLinksInAnImage(t *testing.T) {
	for _, link := range []string{"etc/eks", "etc/eks/image-credential-provider", "etc/eks/image-credential-provider/config.json",
		"etc/eks/image-credential-provider/ecr-credential-provider", "var/lib/regcred", "var/lib", "var"} {
		for _, up := range []string{"", "../../../../../../../../../.."} {
			dir, outside := memory(t, "60m"), t.TempDir()
			image(t, dir)
			write(t, outside, "config.json", vendorConfig, 0o644)
			write(t, outside, "image-credential-provider/config.json", vendorConfig, 0o644)
			write(t, outside, "ecr-credential-provider", "#!/bin/sh\n", 0o755)
			full := filepath.Join(dir, link)
			target := up + outside
			if filepath.Ext(link) == ".json" {
				target += "/config.json"
			}
			if err := os.RemoveAll(full); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, full); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, outside)
			r := run(t, "install", "--root", dir, "--cloud", "aws,gcp")
			if got := snapshot(t, outside); got != before {
				t.Errorf("%s -> %s: outside:\n%s\nwant\n%s\n%s%s", link, target, got, before, r.stdout, r.stderr)
			}
			if r.code == 0 {
				// A link that leads nowhere is no program either.
				run(t, "uninstall", "--root", dir, "--force").want(t, 0)
			}
			if got := snapshot(t, outside); got != before {
				t.Errorf("%s -> %s: outside after uninstall:\n%s\nwant\n%s", link, target, got, before)
			}
		}
	}
}

// An image that has what looks like processes, and a kubelet among them, is an
// image all the same: nothing of it is run.
func TestAnImageThatClaimsToBeANode(t *testing.T) {
	dir := memory(t, "60m")
	image(t, dir)
	trap := filepath.Join(t.TempDir(), "trap")
	program := "#!/bin/sh\n: > " + trap + "\n"
	for name, text := range map[string]string{
		"proc/1/cmdline": "/sbin/init\x00", "proc/7/cmdline": "/usr/bin/kubelet\x00--image-credential-provider-config=/trap\x00--image-credential-provider-bin-dir=/trap\x00",
		"proc/7/stat": "7 (kubelet) S 1 1", "proc/7/exe": program, "usr/bin/systemctl": program,
	} {
		write(t, dir, name, text, 0o755)
	}
	if err := os.Symlink("../..", filepath.Join(dir, "proc/1/root")); err != nil {
		t.Fatal(err)
	}
	run(t, "install", "--root", dir, "--cloud", "aws").want(t, 0, "plugins in /etc/eks/image-credential-provider")
	run(t, "status", "--root", dir).want(t, 0)
	run(t, "uninstall", "--root", dir, "--restart").want(t, 2)
	run(t, "uninstall", "--root", dir).want(t, 0)
	if _, err := os.Stat(trap); !os.IsNotExist(err) {
		t.Errorf("a program of the image was run: %v", err)
	}
}

func TestSeveralAtOnce(t *testing.T) {
	dir := memory(t, "300m")
	image(t, dir)
	before := snapshot(t, dir)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			args := []string{"install", "--root", dir, "--cloud", []string{"aws", "aws,gcp"}[i%2]}
			if i == 5 {
				args = []string{"uninstall", "--root", dir}
			}
			if r := run(t, args...); r.code != 0 {
				t.Errorf("%q: exit code %d: %s", args, r.code, r.stderr)
			}
		})
	}
	all.Wait()
	wantStarts(t, dir)
	run(t, "install", "--root", dir, "--cloud", "aws").want(t, 0)
	run(t, "status", "--root", dir).want(t, 0, "all is well")
	run(t, "uninstall", "--root", dir).want(t, 0)
	if got := snapshot(t, dir); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

func TestSomebodyWhoIsNotRoot(t *testing.T) {
	m := newMachine(t)
	before := m.state()
	for _, args := range [][]string{{"install", "--cloud=aws"}, {"uninstall"}} {
		command := m.command(t.Context(), "/usr/bin/regcred", args...)
		command.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		m.finish(command).want(t, 1, "only root may change a node")
	}
	if got := m.state(); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

func TestCommandLinesThatAreWrong(t *testing.T) {
	dir := memory(t, "60m")
	image(t, dir)
	before := snapshot(t, dir)
	for _, args := range [][]string{
		{"install", "--root", dir, "--restart"},
		{"uninstall", "--root", dir, "--restart"},
		{"install", "--nonsense"},
		{"install", "now"},
		{"install", "--root", dir, "--env", "x"},
		{"install", "--root", dir, "--platform", "none"},
		{"install", "--root", dir, "--cloud", "none"},
		{"install", "--root", dir, "--providers-from", "x.yaml", "--cloud", "aws"},
		{"status", "--root", dir, "-o", "yaml"},
	} {
		if r := run(t, args...); r.code != 2 || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d: %s", args, r.code, r.stderr)
		}
	}
	for _, args := range [][]string{
		{"install", "--root", filepath.Join(dir, "none")},
		{"install", "--root", dir, "--from", "/none", "--provider", "icr"},
		{"install", "--root", dir, "--providers-from", "/none.yaml"},
		{"install", "--root", dir, "--platform", "talos"},
	} {
		run(t, args...).want(t, 1)
	}
	if got := snapshot(t, dir); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

// In a container with the node's processes and its root mounted, as in a
// DaemonSet's pod, that root is the node: its kubelet is found and restarted.
func TestFromAContainerOfTheNode(t *testing.T) {
	m := newMachine(t)
	before := m.state()
	pid := m.kubelet()
	if pid == 0 { // which to kill means everybody in this group
		t.Fatal("the kubelet does not run")
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	const container = "mount --rbind / /mnt && " +
		"regcred install --root /mnt --cloud aws --restart --timeout 6s && " +
		"regcred status --root /mnt && " +
		"regcred uninstall --root /mnt --restart --timeout 6s"
	command := m.command(t.Context(), "/bin/sh", "-ec", "mount -t proc proc /proc\nsystemctl restart kubelet.service\nsleep 1\nunshare --mount sh -ec '"+container+"'")
	command.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
	r := m.finish(command)
	r.want(t, 0, "all is well", "uninstalled")
	if got := strings.Count(r.stdout, "the kubelet was restarted, and is back"); got != 2 {
		t.Errorf("restarted %d times\n%s", got, r.stdout)
	}
	if got := m.state(); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}
