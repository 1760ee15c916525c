package main

import (
	"path"
	"strings"
	"testing"

	"regcred/deploy/release/tree"
)

// A package is installed, upgraded, exchanged for the other edition, removed and
// purged, as an operator's configuration management does it: nobody is there to
// answer a question.
func TestTheDebOverItsWholeLife(t *testing.T) {
	r := newRoot(t)
	older := r.add(previous(t, "*.deb"))
	current := r.add(one(t, "regcred_*_"+debian(t)+".deb"))
	special := r.add(one(t, "regcred-fips_*_"+debian(t)+".deb"))
	empty := r.listing()

	r.run("dpkg -i " + older)
	wantInstalled(r, "regcred", older)
	wantWorking(r, false)
	for place := range strings.Lines(r.run("dpkg -L regcred")) {
		wantOwnPlace(t, strings.TrimSpace(place))
	}

	const edited = "# of the operator\n"
	r.run("echo '" + strings.TrimSpace(edited) + "' > /etc/regcred/credential-providers.yaml && echo mine > /etc/regcred/ecr.yaml")
	r.run("mkdir -m 0700 /run/regcred && touch /run/regcred/entry")
	r.run("dpkg -i " + current)
	wantInstalled(r, "regcred", current)
	wantWorking(r, false)
	if got := r.run("cat /etc/regcred/credential-providers.yaml; ls /run/regcred"); got != edited+"entry\n" {
		t.Errorf("after the upgrade the configuration and the cache are %q", got)
	}

	r.run("dpkg -i " + older) // back
	wantInstalled(r, "regcred", older)
	if got := r.run("dpkg -i --auto-deconfigure " + special + " 2>&1"); strings.Contains(got, "will not start again") {
		t.Errorf("the kubelet is said to miss plugins that are there: %s", got)
	}
	wantInstalled(r, "regcred-fips", special)
	wantWorking(r, true)
	r.run("dpkg -i " + current)
	wantInstalled(r, "regcred", current)
	wantWorking(r, false)
	if got := r.run("cat /etc/regcred/credential-providers.yaml"); got != edited {
		t.Errorf("after an exchange of editions the configuration is %q", got)
	}

	r.run("mkdir -p -m 0700 /run/regcred && touch /run/regcred/entry")
	removal := r.run("sh -c 'sleep 60; true' kubelet --image-credential-provider-bin-dir=" + tree.PluginDir + " & dpkg -r regcred 2>&1")
	if count := strings.Count(removal, "will not start again"); count != 1 {
		t.Errorf("of a kubelet that uses the plugins the removal speaks %d times, want once:\n%s", count, removal)
	}
	if got := r.run("cat /etc/regcred/credential-providers.yaml /etc/regcred/ecr.yaml; ls -d /run/regcred 2>&1 || true"); !strings.HasPrefix(got, edited+"mine\n") || !strings.Contains(got, "No such file") {
		t.Errorf("after the removal there are %q", got)
	}

	r.run("rm /etc/regcred/ecr.yaml && dpkg -P regcred regcred-fips")
	wantSame(t, "what is left after the purge", empty, r.listing())
}

// A plugin that runs at that moment, or that no kubelet uses, is no reason to say
// anything.
func TestTheDebGoesQuietlyWhereNoKubeletUsesIt(t *testing.T) {
	r := newRoot(t)
	r.run("dpkg -i " + r.add(one(t, "regcred_*_"+debian(t)+".deb")))
	output := r.run("sh -c 'sleep 60; true' kubelet --image-credential-provider-bin-dir=/opt/bin --volume-plugin-dir=" + tree.PluginDir + "/volume & dpkg -P regcred 2>&1")
	if strings.Contains(output, "regcred:") {
		t.Errorf("the removal says:\n%s", output)
	}
}

// wantInstalled fails the test unless it is this file's package that is there, as
// it was packed.
func wantInstalled(r root, name, file string) {
	r.t.Helper()
	version := strings.TrimSpace(r.run("dpkg-deb -f " + file + " Version"))
	if got := r.run("dpkg-query -W -f '${db:Status-Abbrev}${Version}' " + name); got != "ii "+version {
		r.t.Errorf("%s is %q, want version %s", name, got, version)
	}
	for line := range strings.Lines(r.run("dpkg --verify " + name + " || true; dpkg --audit")) {
		if !strings.HasSuffix(line, " c /etc/regcred/credential-providers.yaml\n") {
			r.t.Errorf("dpkg says of %s: %s", name, line)
		}
	}
}

// wantOwnPlace fails the test if a package has no business where a file of it is:
// /usr/local is the operator's, and nothing is to start by itself.
func wantOwnPlace(t *testing.T, place string) {
	t.Helper()
	for _, own := range []string{
		tree.ToolDir + "/regcred", tree.ToolDir + "/docker-credential-regcred", tree.PluginDir + "/", tree.ConfigDir,
		"/usr/share/doc/regcred", "/usr/share/man/man1/", "/usr/share/man/man8/", "/usr/share/lintian/overrides/",
		"/usr/share/bash-completion/completions/", "/usr/share/fish/vendor_completions.d/", "/usr/share/zsh/vendor-completions/", "/usr/share/zsh/site-functions/",
	} {
		if strings.HasPrefix(place, own) || strings.HasPrefix(own, place+"/") || place == "/." {
			return
		}
	}
	t.Errorf("the package has %s", place)
}

// wantWorking fails the test unless every binary that was built runs in the
// system, which has nothing that helps them.
func wantWorking(r root, fips bool) {
	r.t.Helper()
	wanted := version(r.t)
	for _, name := range binaries(r.t, native()) {
		place := path.Join(tree.ToolDir, name)
		if tree.IsPlugin(name) {
			place = path.Join(tree.PluginDir, name)
		}
		got := r.run("stat -c '%U:%G %a' " + place + " && " + place + " --version")
		mode, said, _ := strings.Cut(got, "\n")
		if mode != "root:root 755" || !strings.HasPrefix(said, name+" "+wanted+" (") || strings.Contains(said, "FIPS 140-3 module v1.0.0") != fips {
			r.t.Errorf("%s: got %q, want version %s, with FIPS %v", place, got, wanted, fips)
		}
	}
	if got := r.run("readlink -e " + path.Join(tree.ToolDir, tree.Helper)); got != path.Join(tree.ToolDir, tree.Tool)+"\n" {
		r.t.Errorf("%s leads to %q", tree.Helper, got)
	}
}
