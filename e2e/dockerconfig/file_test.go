//go:build linux

package dockerconfig_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

// inRoot asks a plugin for which the test's directory is the machine's root, so
// that the files at its top can be there, too.
func (m *machine) inRoot(workingDir string, env []string, args ...string) cloudtest.Answer {
	m.T.Helper()
	program := filepath.Join(m.dir, "plugin")
	if _, err := os.Stat(program); err != nil {
		// Another program writes it: what this one starts at the same moment
		// would have it open, and then it cannot be run.
		if err := exec.Command("cp", plugin, program).Run(); err != nil {
			m.T.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(m.dir, workingDir), 0o755); err != nil {
		m.T.Fatal(err)
	}
	m.write("dev/null", "") // which takes what is written, too
	q := fake.Question{Image: image, Args: append(args, "--cache-dir="), Env: env}
	command := q.Command(m.T.Context(), "/plugin")
	command.Dir = workingDir
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: m.dir}
	return m.Start(command).Answer()
}

// Every place is looked at, and the earlier one wins: the kubelet's eight in its
// order, and then docker's and podman's.
func TestThePlaces(t *testing.T) {
	for name, tc := range map[string]struct {
		env, args []string
		places    []string
	}{
		"a kubelet with a home": {[]string{"HOME=/root"}, nil, []string{
			"/var/lib/kubelet/config.json", "/cwd/config.json", "/root/.docker/config.json", "/.docker/config.json",
			"/var/lib/kubelet/.dockercfg", "/cwd/.dockercfg", "/root/.dockercfg", "/.dockercfg",
			"/run/containers/0/auth.json", "/root/.config/containers/auth.json", "/etc/containers/auth.json",
		}},
		"a service": {nil, nil, []string{
			"/var/lib/kubelet/config.json", "/cwd/config.json", "/cwd/.docker/config.json", "/.docker/config.json",
			"/var/lib/kubelet/.dockercfg", "/cwd/.dockercfg", "/.dockercfg",
			"/run/containers/0/auth.json", "/etc/containers/auth.json",
		}},
		"everything is said": {
			[]string{"HOME=/home/kubelet", "DOCKER_CONFIG=/docker", "XDG_RUNTIME_DIR=/run/user/0", "XDG_CONFIG_HOME=/config"},
			[]string{"--file=/etc/first.json", "--file=/etc/second.json", "--root-dir=/data/kubelet"},
			[]string{
				"/etc/first.json", "/etc/second.json",
				"/data/kubelet/config.json", "/cwd/config.json", "/home/kubelet/.docker/config.json", "/.docker/config.json",
				"/data/kubelet/.dockercfg", "/cwd/.dockercfg", "/home/kubelet/.dockercfg", "/.dockercfg",
				"/docker/config.json", "/run/user/0/containers/auth.json", "/run/containers/0/auth.json", "/config/containers/auth.json", "/etc/containers/auth.json",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("only root has another root directory")
			}
			m := newMachine(t)
			for i, place := range tc.places {
				login := "user" + strconv.Itoa(i) + ":secret"
				text := with(host, login)
				if filepath.Base(place) == ".dockercfg" {
					text = `{"` + host + `": ` + auth(login) + `}`
				}
				m.write(place, text)
			}
			// Others, which nobody looks at.
			for _, place := range []string{"/var/lib/kubelet/.docker/config.json", "/config.json", "/root/config.json", "/home/.docker/config.json", "/run/containers/auth.json", "/auth.json"} {
				m.write(place, with(host, "nobody:secret"))
			}
			for i, place := range tc.places {
				m.want(m.inRoot("/cwd", tc.env, tc.args...), image, "user"+strconv.Itoa(i)+":secret")
				if len(tc.args) > 0 && i < 2 {
					m.write(place, "{}") // it has to be there
				} else if err := os.Remove(filepath.Join(m.dir, place)); err != nil {
					t.Fatal(err)
				}
			}
			m.inRoot("/cwd", tc.env, tc.args...).WantNothing(0, 0)
		})
	}
}

// Without the usual places, what is there decides nothing.
func TestTheNamedFilesAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has another root directory")
	}
	m := newMachine(t)
	m.write("var/lib/kubelet/config.json", with(host, "jane:secret"))
	m.write("named.json", with("other.example.com", "jane:secret"))
	m.inRoot("/", nil, "--default-files=false", "--file=/named.json").WantNothing(0, 0)
	m.want(m.inRoot("/", nil, "--file=/named.json"), image, "jane:secret")
	m.want(m.inRoot("/", []string{"REGISTRY_AUTH_FILE=/named.json"}), image, "jane:secret")
	m.inRoot("/", []string{"REGISTRY_AUTH_FILE=/absent.json"}).WantFailure(2, "/absent.json: no such file or directory")
}

// A file that is broken is in no other's way, whichever of the two it is, and it
// is told of: in the log, or, where nothing else has a login, by the kubelet.
func TestABrokenFileIsInNobodysWay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has another root directory")
	}
	const first = "/var/lib/kubelet/config.json"
	for name, tc := range map[string]struct {
		ruin func(path string) error
		says string
	}{
		"cut short":        {func(path string) error { return os.WriteFile(path, []byte(`{"auths": {"hunter2": {`), 0o600) }, "not a docker configuration: invalid JSON at byte 23"},
		"a list":           {func(path string) error { return os.WriteFile(path, []byte(`["hunter2"]`), 0o600) }, "not a docker configuration"},
		"everybody's":      {func(path string) error { return os.Chmod(path, 0o666) }, "writable by others: mode 0666"},
		"somebody else's":  {func(path string) error { return os.Chown(path, 65534, 0) }, "owned by user 65534"},
		"a pipe":           {func(path string) error { return replaceBy(path, syscall.Mkfifo(path+".new", 0o600)) }, "not a regular file"},
		"a directory":      {func(path string) error { return replaceBy(path, os.Mkdir(path+".new", 0o700)) }, "not a regular file"},
		"a link in a loop": {func(path string) error { return replaceBy(path, os.Symlink("config.json", path+".new")) }, "too many levels of symbolic links"},
		"endless":          {func(path string) error { return os.Truncate(path, 2<<20) }, "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.write(first, with(host, "jane:secret"))
			m.write("/.dockercfg", `{"`+host+`": `+auth("joe:secret")+`}`)
			if err := tc.ruin(filepath.Join(m.dir, first)); err != nil {
				t.Skip(err)
			}
			a := m.inRoot("/", nil)
			if response, _ := a.Response(); response.Auth[host].Username != "joe" || !contains(a.Stderr, first, tc.says) || contains(a.Stderr, "hunter2") {
				t.Errorf("got %v, and the log %q", response.Auth[host].Username, a.Stderr)
			}
			if err := os.Remove(filepath.Join(m.dir, ".dockercfg")); err != nil {
				t.Fatal(err)
			}
			failed := m.inRoot("/", nil)
			failed.WantFailure(1, host+": ", "a docker configuration cannot be used: "+first+": ", tc.says, "correct or remove "+first)
			if contains(failed.Stderr, "hunter2") {
				t.Errorf("got %s", failed.Stderr)
			}
		})
	}
}

func replaceBy(path string, made error) error {
	if made != nil {
		return made
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// A change counts in the next run, however it was made.
func TestAChangeCountsAtOnce(t *testing.T) {
	m := newMachine(t)
	file := m.write("config.json", with(host, "jane:first!"))
	ask := func(login string) {
		t.Helper()
		m.want(m.ask(file, image), image, login)
	}
	ask("jane:first!")

	// In place, with a text as long, within one tick of the clock.
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	m.write("config.json", with(host, "jane:second"))
	if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	ask("jane:second")

	// By a rename, as docker does.
	if err := os.Rename(m.write("new.json", with(host, "jane:third")), file); err != nil {
		t.Fatal(err)
	}
	ask("jane:third")

	// By a link in the way to it, as Kubernetes changes a mounted secret.
	for i, login := range []string{"jane:fourth", "jane:fifth"} {
		data := "..data" + strconv.Itoa(i)
		m.write("mounted/"+data+"/config.json", with(host, login))
		link := filepath.Join(m.dir, "mounted", "..data")
		if err := os.Symlink(data, link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := os.Symlink("..data/config.json", filepath.Join(m.dir, "mounted/config.json")); err != nil {
				t.Fatal(err)
			}
		}
		file = filepath.Join(m.dir, "mounted/config.json")
		ask(login)
	}

	// A helper in the login's place, a login in the helper's, and another helper.
	file = filepath.Join(m.dir, "config.json")
	m.helper("one", `echo '{"Username":"one","Secret":"secret"}'`)
	m.helper("two", `echo '{"Username":"two","Secret":"secret"}'`)
	for _, step := range []struct{ text, login string }{
		{`{"credHelpers": {"` + host + `": "one"}}`, "one:secret"},
		{with(host, "jane:sixth"), "jane:sixth"},
		{`{"credHelpers": {"` + host + `": "two"}}`, "two:secret"},
		{`{"credsStore": "one"}`, "one:secret"},
		{`{"credsStore": "one", "auths": {"` + host + `": ` + auth("jane:seventh") + `}}`, "jane:seventh"},
	} {
		m.write("config.json", step.text)
		ask(step.login)
	}
	m.write("config.json", `{}`)
	m.ask(file, image).WantNothing(0, 0)

	// A helper that was replaced is another one.
	m.write("config.json", `{"credHelpers": {"`+host+`": "one"}}`)
	ask("one:secret")
	m.helper("one", `echo '{"Username":"one","Secret":"another"}'`)
	ask("one:another")
}

// Where a key has a path, an answer is for its image alone, also where the
// kubelet may keep it.
func TestAnAnswerIsForItsImageWhereAKeyHasAPath(t *testing.T) {
	m := newMachine(t)
	file := m.write("config.json", with(host, "all:secret", host+"/team", "team:secret", host+"/team/app", "app:secret", "*.example.com/glob", "glob:secret", "other.example.org", "other:secret"))
	for image, username := range map[string]string{
		host + "/team/app": "app", host + "/team/web": "team", host + "/team-b/web": "team", host + "/web": "all", host + "/team/app/sub:v1": "app",
		"two.example.com/glob/app": "glob",
	} {
		registry, _, _ := strings.Cut(image, "/")
		if password, keep := m.ask(file, image, "--max-kubelet-cache=1m").WantImageLogin(registry, username); password != "secret" || keep != time.Minute {
			t.Errorf("%s: %q for %s", image, password, keep)
		}
	}
	if _, keep := m.ask(file, "other.example.org/team/app", "--max-kubelet-cache=1m").WantLogin("other.example.org", "other"); keep != time.Minute {
		t.Errorf("kept for %s", keep)
	}
	m.ask(file, "two.example.com/app").WantNothing(0, 0)
}

// A flag wins over a variable, that over the file, and that over the default,
// which is that the kubelet keeps nothing.
func TestTheNearerSettingWins(t *testing.T) {
	m := newMachine(t)
	file := m.write("config.json", with(host, "jane:secret"))
	settings := "--config=" + cloudtest.ConfigFile(t, config, "maxKubeletCache: 3m\n")
	for want, tc := range map[time.Duration]struct{ args, env []string }{
		0:               {},
		3 * time.Minute: {args: []string{settings}},
		4 * time.Minute: {args: []string{settings}, env: []string{"REGCRED_MAX_KUBELET_CACHE=4m"}},
		5 * time.Minute: {args: []string{settings, "--max-kubelet-cache=5m"}, env: []string{"REGCRED_MAX_KUBELET_CACHE=4m"}},
	} {
		a := m.Ask(fake.Question{Image: image, Args: append(tc.args, "--file="+file), Env: tc.env})
		if _, keep := a.WantLogin(host, "jane"); keep != want {
			t.Errorf("the kubelet keeps it for %s, want %s", keep, want)
		}
	}
	// Files of the configuration file are those of the flag.
	named := cloudtest.ConfigFile(t, config, "files: ["+file+"]\ndefaultFiles: false\n")
	m.want(m.Ask(fake.Question{Image: image, Args: []string{"--config=" + named}}), image, "jane:secret")
	other := m.write("other.json", with(host, "joe:secret"))
	m.want(m.Ask(fake.Question{Image: image, Args: []string{"--config=" + named, "--file=" + other}}), image, "joe:secret")
}

// What is no login is said to be none. Nobody gets an empty one.
func TestATokenIsNoLogin(t *testing.T) {
	m := newMachine(t)
	for name, tc := range map[string]struct{ entry, says string }{
		"an identity token": {`{"identitytoken": "hunter2hunter2"}`, "has a token in place of a password, which the kubelet cannot use: log in with"},
		"Azure's login":     {`{"auth": "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==", "identitytoken": "hunter2hunter2"}`, "has a token in place of a password"},
		"a registry token":  {`{"registrytoken": "hunter2hunter2"}`, "has a token in place of a password"},
		"nothing":           {`{}`, "has no user name and password"},
	} {
		t.Run(name, func(t *testing.T) {
			m := *m
			m.T = t
			file := cloudtest.File(t, `{"auths": {"`+host+`": `+tc.entry+`}}`)
			a := m.ask(file, image)
			a.WantFailure(1, host+": ", `entry "`+host+`" of `+file, tc.says)
			if contains(a.Stderr, "hunter2") {
				t.Errorf("got %s", a.Stderr)
			}
		})
	}
	m.helper("token", `echo '{"Username":"<token>","Secret":"hunter2hunter2"}'`)
	a := m.ask(m.write("config.json", `{"credHelpers": {"`+host+`": "token"}}`), image)
	a.WantFailure(1, "docker-credential-token", "has a token in place of a password, which the kubelet cannot use: log in with")
	if contains(a.Stderr, "hunter2") {
		t.Errorf("got %s", a.Stderr)
	}
}
