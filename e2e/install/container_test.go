//go:build linux

package install_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A container of the node knows it by the node's root, which is mounted: the
// processes that it sees by itself are its own.
func TestInAContainerOfTheNode(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	kubelet, image, other := filepath.Join(dir, "kubelet"), filepath.Join(dir, "image"), filepath.Join(dir, "other")
	copyFile(t, self, kubelet)
	for _, name := range []string{image + "/host", image + "/proc", other} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyFile(t, regcred, image+"/regcred")
	const (
		node = `mount -t proc proc /proc || exit
"$1" & until [ "$(readlink /proc/$!/exe)" = "$1" ]; do :; done
unshare --pid --fork --mount sh -c "$2" sh "$3" "$4"`
		container = `mount --rbind "$2" "$1/host" && mount -t proc proc "$1/proc" && exec chroot "$1" /regcred status --root /host -o json`
	)
	for _, c := range []struct {
		name, root string
		running    bool
	}{
		{"the node's root", "/", true},
		{"a directory of it", other, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			command := exec.CommandContext(t.Context(), "/bin/sh", "-c", node, "sh", kubelet, container, image, c.root)
			command.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}
			command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
			r := finish(t, command)
			var s status
			if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
				t.Fatalf("%v: %s%s", err, r.stdout, r.stderr)
			}
			if s.Kubelet.Running != c.running {
				t.Errorf("a kubelet runs: %v, want %v: %+v", s.Kubelet.Running, c.running, s)
			}
		})
	}
}
