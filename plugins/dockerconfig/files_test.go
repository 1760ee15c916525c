//go:build !windows

package dockerconfig

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
)

func TestTheUsualPlaces(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	own := "/run/containers/" + strconv.Itoa(os.Geteuid()) + "/auth.json"
	for name, tc := range map[string]struct {
		rootDir string
		env     []string
		want    []string
	}{
		"a kubelet with a home": {"/var/lib/kubelet", []string{"HOME=/root"}, []string{
			"/var/lib/kubelet/config.json", dir + "/config.json", "/root/.docker/config.json", "/.docker/config.json",
			"/var/lib/kubelet/.dockercfg", dir + "/.dockercfg", "/root/.dockercfg", "/.dockercfg",
			own, "/root/.config/containers/auth.json", "/etc/containers/auth.json",
		}},
		"a service, which has none": {"/data/kubelet", nil, []string{
			"/data/kubelet/config.json", dir + "/config.json", dir + "/.docker/config.json", "/.docker/config.json",
			"/data/kubelet/.dockercfg", dir + "/.dockercfg", "/.dockercfg",
			own, "/etc/containers/auth.json",
		}},
		"variables of docker and podman": {"/var/lib/kubelet", []string{"HOME=/", "DOCKER_CONFIG=/etc/docker-auth", "XDG_RUNTIME_DIR=/run/user/0", "XDG_CONFIG_HOME=/cfg"}, []string{
			"/var/lib/kubelet/config.json", dir + "/config.json", "/.docker/config.json",
			"/var/lib/kubelet/.dockercfg", dir + "/.dockercfg", "/.dockercfg",
			"/etc/docker-auth/config.json", "/run/user/0/containers/auth.json", own, "/cfg/containers/auth.json", "/etc/containers/auth.json",
		}},
		"relative variables are none": {"/var/lib/kubelet", []string{"HOME=/root", "DOCKER_CONFIG=a", "XDG_RUNTIME_DIR=b", "XDG_CONFIG_HOME=c"}, []string{
			"/var/lib/kubelet/config.json", dir + "/config.json", "/root/.docker/config.json", "/.docker/config.json",
			"/var/lib/kubelet/.dockercfg", dir + "/.dockercfg", "/root/.dockercfg", "/.dockercfg",
			own, "/root/.config/containers/auth.json", "/etc/containers/auth.json",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := defaultFiles(tc.rootDir, plugintest.Getenv(tc.env...)); !slices.Equal(got, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// Files of the usual places are tried in their order, after those that are
// named. One that cannot be used is in the way of no other.
func TestFilesOfTheUsualPlaces(t *testing.T) {
	t.Chdir(t.TempDir())
	root, home, run := t.TempDir(), t.TempDir(), t.TempDir()
	getenv := plugintest.Getenv("HOME="+home, "XDG_RUNTIME_DIR="+run)
	places := defaultFiles(root, getenv)
	places = slices.DeleteFunc(places, func(path string) bool {
		return !slices.ContainsFunc([]string{root, home, run, filepath.Dir(places[1])}, func(dir string) bool { return strings.HasPrefix(path, dir+"/") })
	})
	if len(places) != 8 {
		t.Fatalf("got %q", places)
	}
	for i, path := range places {
		writeTo(t, path, auths("reg.example.com", "only"+strconv.Itoa(i)+".example.com"))
	}
	named := write(t, auths("named.example.com", "only0.example.com/team"))
	load := func(args ...string) func(image string) string {
		c := loadAs(t, getenv, append(args, "--root-dir", root)...)
		return func(image string) string { return answered(t, c, image, nil) }
	}
	ask := load("--file", named)
	for image, want := range map[string]string{
		"named.example.com/app":      "named.example.com:secret",
		"only0.example.com/team/app": "only0.example.com/team:secret for the image",
		"only7.example.com/app":      "only7.example.com:secret",
		"other.example.com/app":      "nothing",
	} {
		if got := ask(image); got != want {
			t.Errorf("%s: got %s, want %s", image, got, want)
		}
	}

	// One after the other is made useless, each in another way.
	ruins := []func(path string){
		func(path string) { writeTo(t, path, `{"auths": hunter2`) },
		func(path string) { remove(t, path); _ = os.Mkdir(path, 0o700) },
		func(path string) { _ = os.Chmod(path, 0o666) },
		func(path string) { remove(t, path); _ = os.Symlink("nowhere", path) },
		func(path string) { remove(t, path); _ = os.Symlink(filepath.Base(path), path) },
		func(path string) { writeTo(t, path, "") },
		func(path string) {
			writeTo(t, path, `{"credHelpers": {"a.example.com": "b"}, "HttpHeaders": {"X-Meta": "hunter2"}}`)
		},
		func(path string) { writeTo(t, path, "null") },
	}
	for i, path := range places {
		last := places[len(places)-1]
		if got := load()("reg.example.com/app"); got != "reg.example.com:secret" {
			t.Errorf("%d files are useless: got %s", i, got)
		}
		if path != last {
			ruins[i](path)
		}
	}
	got := load()("unknown.example.com/app")
	const want = "error: a docker configuration cannot be used: "
	if !strings.HasPrefix(got, want+places[0]+": not a docker configuration: invalid JSON") || !strings.HasSuffix(got, ": correct or remove "+places[0]+" [docker configuration]") || strings.Contains(got, "hunter2") {
		t.Errorf("got %s", got)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// A path through a file is no path: nothing is there.
func TestAPlaceThatCannotBe(t *testing.T) {
	t.Chdir(t.TempDir())
	home := write(t, "a file")
	c := loadAs(t, plugintest.Getenv("HOME="+home), "--root-dir", t.TempDir(), "--file", write(t, auths("reg.example.com")))
	if got := answered(t, c, "other.example.com/app", nil); got != "nothing" {
		t.Errorf("got %s", got)
	}
}

// A file that somebody else can write decides nothing. One that others can read
// is used: whether they can depends on the directories above it, too.
func TestWhoseAFileIs(t *testing.T) {
	file := write(t, auths("reg.example.com"))
	for mode, want := range map[os.FileMode]string{0o600: "", 0o640: "", 0o644: "", 0o666: "writable by others: mode 0666", 0o602: "writable by others: mode 0602"} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		switch _, err := read(file); {
		case want == "" && err != nil:
			t.Errorf("%o: got %v", mode, err)
		case want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)):
			t.Errorf("%o: got %v, want %s", mode, err, want)
		}
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if _, err := read(link); err != nil {
		t.Errorf("a link: %v", err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(file, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := read(link); err == nil || !strings.Contains(err.Error(), "owned by user 65534") {
			t.Errorf("somebody else's: %v", err)
		}
	}
}
