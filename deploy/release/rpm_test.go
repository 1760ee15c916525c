package main

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"regcred/deploy/release/tree"
)

// machine is this one as rpm names it.
func machine(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(must(t, "uname", "-m"))
}

// debian is this machine as dpkg names it.
func debian(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(must(t, "dpkg", "--print-architecture"))
}

func TestTheRPMSaysWhatItIs(t *testing.T) {
	file := one(t, "regcred-[0-9]*."+machine(t)+".rpm")
	made := released(t)
	got := must(t, "rpm", "-qp", "--qf", "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{OS} %{LICENSE} %{BUILDHOST} %{BUILDTIME}\n%{SUMMARY}\n%{DESCRIPTION}\n", file)
	want := strings.Join([]string{"regcred", made.label.Package, "1", machine(t), "linux", "Apache-2.0", "localhost", strconv.FormatInt(made.time.Unix(), 10)}, " ")
	lines := strings.SplitN(got, "\n", 3)
	if lines[0] != want || lines[1] != "Image credential provider plugins for the kubelet" || !strings.HasPrefix(lines[2], "The kubelet runs") {
		t.Errorf("got %q, want %q", got, want)
	}
	// It comes from no repository that would have signed it: its digests hold.
	if got := must(t, "rpm", "-K", "--nosignature", file); !strings.HasSuffix(got, ": digests OK\n") {
		t.Errorf("rpm -K: %s", got)
	}
	if got := must(t, "rpm", "-qp", "--conflicts", file); got != "regcred-fips\n" {
		t.Errorf("it conflicts with %q", got)
	}
	// Nothing that a node without a package index would have to fetch.
	for line := range strings.Lines(must(t, "rpm", "-qp", "--requires", file)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "rpmlib(") && line != "/bin/sh" && line != "config(regcred)" {
			t.Errorf("it requires %s", line)
		}
	}
}

func TestTheRPMHasWhatTheDebHas(t *testing.T) {
	file := one(t, "regcred-[0-9]*."+machine(t)+".rpm")
	got := map[string]string{}
	for line := range strings.Lines(must(t, "rpm", "-qp", "--qf", `[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags} %{FILELINKTOS}\n]`, file)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		got[name] = strings.TrimSpace(rest)
		wantOwnPlace(t, name)
	}
	for _, name := range binaries(t, native()) {
		place := path.Join(tree.ToolDir, name)
		if tree.IsPlugin(name) {
			place = path.Join(tree.PluginDir, name)
		}
		if got[place] != "-rwxr-xr-x root:root" {
			t.Errorf("%s is %q", place, got[place])
		}
	}
	for place, want := range map[string]string{
		"/usr/bin/docker-credential-regcred":             "l--------- root:root  regcred",
		"/etc/regcred":                                   "drwxr-xr-x root:root",
		"/etc/regcred/credential-providers.yaml":         "-rw-r--r-- root:root cn",
		"/usr/share/doc/regcred/LICENSE":                 "-rw-r--r-- root:root l",
		"/usr/share/doc/regcred/README.md":               "-rw-r--r-- root:root d",
		"/usr/share/zsh/site-functions/_regcred":         "-rw-r--r-- root:root",
		"/usr/share/bash-completion/completions/regcred": "-rw-r--r-- root:root",
	} {
		if got[place] != want {
			t.Errorf("%s is %q, want %q", place, got[place], want)
		}
	}
	var inDeb []string
	for line := range strings.Lines(must(t, "sh", "-c", "dpkg-deb --fsys-tarfile '"+one(t, "regcred_*_"+debian(t)+".deb")+"' | tar -t")) {
		if name := strings.TrimSuffix(strings.TrimSpace(line), "/"); name != "" {
			inDeb = append(inDeb, strings.TrimPrefix(name, "."))
		}
	}
	for name := range got {
		if !slices.Contains(inDeb, name) && !strings.HasPrefix(name, "/usr/share/zsh/") && path.Base(name) != "LICENSE" {
			t.Errorf("the deb does not have %s", name)
		}
	}
}

func TestTheRPMOverItsWholeLife(t *testing.T) {
	r := newRoot(t)
	r.run("mkdir -p /var/lib/rpm")
	rpm := func(arguments ...string) string {
		t.Helper()
		return must(t, "rpm", append([]string{"--root", r.dir, "--dbpath", "/var/lib/rpm"}, arguments...)...)
	}
	older, current := previous(t, "*.rpm"), one(t, "regcred-[0-9]*."+machine(t)+".rpm")
	empty := r.listing()

	rpm("-U", "--nodeps", older)
	wantWorking(r, false)
	r.run("echo '# of the operator' > /etc/regcred/credential-providers.yaml")
	r.run("mkdir -m 0700 /run/regcred && touch /run/regcred/entry")
	rpm("-U", "--nodeps", current)
	wantWorking(r, false)
	if got := r.run("cat /etc/regcred/credential-providers.yaml; ls /run/regcred"); got != "# of the operator\nentry\n" {
		t.Errorf("after the upgrade the configuration and the cache are %q", got)
	}
	if got, _ := strings.CutPrefix(rpm("-q", "regcred"), "regcred-"); !strings.Contains(current, strings.TrimSpace(got)) {
		t.Errorf("installed is %q, want %s", got, current)
	}

	rpm("-e", "regcred")
	if got := r.run("ls /etc/regcred"); got != "credential-providers.yaml.rpmsave\n" {
		t.Errorf("of the configuration there is %q left", got)
	}
	r.run("rm -r /etc/regcred")
	wantSame(t, "what is left after the removal", empty, r.listing())
}
