//go:build linux

package dockerconfig_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

// contains reports whether a text has all of these.
func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// running are the processes that have a word among their arguments.
func running(t *testing.T, word string) []string {
	t.Helper()
	var found []string
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, _ := os.ReadFile(path) // it may just have ended
		if line := strings.ReplaceAll(string(text), "\x00", " "); strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return found
}

// A helper that does not end is ended, with all that it has started, whatever
// that does not listen to; and so is what one leaves behind.
func TestNothingIsLeftOfAHelper(t *testing.T) {
	for name, tc := range map[string]struct {
		script string // %s is the argument of a sleep that nobody else sleeps
		fails  bool
	}{
		"it hangs":                  {`sleep %s`, true},
		"it does not listen":        {`trap '' TERM INT HUP; sleep %s`, true},
		"its children hang":         {`(trap '' TERM; sleep %[1]s) & (sleep %[1]s) & wait`, true},
		"it hangs with a login":     {`echo '{"Username":"jane","Secret":"secret"}'; sleep %s`, true},
		"it leaves a child":         {`sleep %s & echo '{"Username":"jane","Secret":"secret"}'`, false},
		"it leaves a silent child":  {`sleep %s >/dev/null 2>&1 & echo '{"Username":"jane","Secret":"secret"}'`, false},
		"it fails and leaves one":   {`sleep %s & exit 1`, true},
		"it writes without reading": {`exec <&-; yes hunter2 & sleep %s`, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			mark := fmt.Sprintf("%d.%d", 100000+os.Getpid(), time.Now().UnixNano()%1_000_000_000)
			m.helper("test", fmt.Sprintf(tc.script, mark))
			a := m.ask(m.write("config.json", `{"credHelpers": {"`+host+`": "test"}}`), image, "--helper-timeout=2s")
			if tc.fails {
				a.WantFailure(1, "docker-credential-test", "has failed: ")
				if contains(a.Stderr, "hunter2") {
					t.Errorf("got %s", a.Stderr)
				}
			} else {
				m.want(a, image, "jane:secret")
			}
			a.WantWithin(8 * time.Second)
			if left := running(t, mark); len(left) > 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

// A helper has twenty seconds unless the operator says otherwise, of the
// kubelet's minute.
func TestAHelperHasItsTime(t *testing.T) {
	m := newMachine(t)
	m.helper("late", `sleep 4; echo '{"Username":"jane","Secret":"secret"}'`)
	m.helper("never", `sleep 60`)
	late := m.ask(m.write("late.json", `{"credHelpers": {"`+host+`": "late"}}`), image)
	m.want(late, image, "jane:secret")
	never := m.ask(m.write("never.json", `{"credHelpers": {"`+host+`": "never"}}`), image)
	never.WantFailure(1, "has failed: no result within 20s from ", "credential helper; ", "get "+host)
	never.WantWithin(25 * time.Second)
}

// What a helper says of a registry that it does not know is an empty answer at
// once, and is known for some seconds: a node that starts has a hundred images of
// others.
func TestWhatAHelperDoesNotKnow(t *testing.T) {
	m := newMachine(t)
	count := filepath.Join(m.dir, "count")
	m.helper("store", `echo x >>`+count+`; case $server in *.corp.example) echo '{"Username":"jane","Secret":"secret"}';; *) echo "credentials not found in native keychain"; exit 1;; esac`)
	file := m.write("config.json", `{"credsStore": "store"}`)
	for i := range 10 {
		m.ask(file, fmt.Sprintf("registry.k8s.io/app-%d", i)).WantNothing(0, 0)
	}
	if ran, err := os.ReadFile(count); err != nil || string(ran) != "x\n" {
		t.Errorf("the helper was run %d times, want once", strings.Count(string(ran), "x"))
	}
	m.want(m.ask(file, "docker.corp.example/app"), "docker.corp.example/app", "jane:secret")
	m.ask(file, "docker.corp.example.evil.com/app").WantNothing(0, 0)
	m.ask(file, "nginx", "--cache-dir=").WantNothing(0, 0)
}

// What helpers say when they fail is in the line, as far as it is fit to print.
func TestWhatHelpersSay(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		says   []string
	}{
		"a reason":          {`echo "the vault is sealed"; exit 1`, []string{"has failed: the vault is sealed: exit status 1 of ", "run it by hand as the kubelet's user"}},
		"on stderr":         {`echo "the vault is sealed" >&2; exit 2`, []string{"exit status 2 of ", "which printed: the vault is sealed"}},
		"on several lines":  {`printf 'one\ntwo\n'; exit 1`, []string{"has failed: one two: exit status 1"}},
		"for a terminal":    {`printf '\033[31mred\033[0m\007'; exit 1`, []string{"red"}},
		"without an end":    {`yes no | head -c 100000; exit 1`, []string{"has failed: no no"}},
		"a login":           {`echo '{"Username":"jane","Secret":"hunter2-hunter2"}'; exit 1`, []string{"has failed: exit status 1"}},
		"a key":             {`echo "password=hunter2-hunter2"; exit 1`, []string{"has failed: "}},
		"garbage":           {`echo hunter2-hunter2`, []string{"has failed: not the JSON of a login"}},
		"nothing":           {`exit 0`, []string{"has failed: not the JSON of a login"}},
		"half of a login":   {`echo '{"Username":"jane"}'`, []string{"has failed: half a login"}},
		"another's login":   {`echo '{"ServerURL":"evil.example","Username":"jane","Secret":"hunter2-hunter2"}'`, []string{`a login for another server, "evil.example"`}},
		"that it was ended": {`kill -SEGV $$`, []string{"has failed: end by signal (segmentation fault)"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.helper("test", tc.script)
			file := m.write("config.json", `{"credHelpers": {"`+host+`": "test"}}`)
			a := m.ask(file, image)
			a.WantFailure(1, append(tc.says, host+": docker-credential-test, which "+file+` has for "`+host+`", `, "[credential helper; "+m.dir+"/helpers/docker-credential-test; get "+host+"]")...)
			if contains(a.Stderr, "hunter2") || strings.ContainsAny(a.Stderr, "\x1b\x07") || len(a.Stderr) > 1200 {
				t.Errorf("got %q", a.Stderr)
			}
			if name == "a reason" {
				q := fake.Question{Image: image, Args: []string{"--default-files=false", "--file=" + file, "--helper-path=" + m.dir + "/helpers"}}
				m.WantRecorded(q, "the vault is sealed")
			}
		})
	}
}

// A helper that runs this plugin again, by its name or not, would never end.
func TestACircleIsCut(t *testing.T) {
	m := newMachine(t)
	file := filepath.Join(m.dir, "config.json")
	m.helper("regcred", `touch `+m.dir+`/ran`)
	if err := os.Symlink("docker-credential-regcred", filepath.Join(m.dir, "helpers/docker-credential-other")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"regcred", "other"} {
		m.write("config.json", `{"credHelpers": {"`+host+`": "`+name+`"}}`)
		m.ask(file, image).WantFailure(1, "docker-credential-"+name, "would run this plugin in a circle", "take it out of "+file)
	}
	if _, err := os.Stat(m.dir + "/ran"); err == nil {
		t.Error("it was run")
	}

	// By a script that nobody can tell from an honest one.
	m.helper("wrapper", `echo x >>`+m.dir+`/count
echo '{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"'$server'/team/app"}' |
exec `+plugin+` --default-files=false --file=`+file+` --helper-path=`+m.dir+`/helpers --cache-dir=`)
	m.write("config.json", `{"credHelpers": {"`+host+`": "wrapper"}}`)
	a := m.ask(file, image)
	a.WantFailure(1, "docker-credential-wrapper", "this plugin was itself run by a helper, docker-credential-wrapper")
	a.WantWithin(5 * time.Second)
	if ran, err := os.ReadFile(m.dir + "/count"); err != nil || string(ran) != "x\n" {
		t.Errorf("it was run %d times, want once", strings.Count(string(ran), "x"))
	}

	// By a script that leads to the suite's own helper, which runs the plugins.
	own := filepath.Join(t.TempDir(), "docker-credential-regcred")
	if err := os.Symlink(cloudtest.Binary("regcred"), own); err != nil {
		t.Fatal(err)
	}
	providers := m.write("providers.yaml", `{"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig", "providers": [{
		"name": "dockerconfig-credential-provider", "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "defaultCacheDuration": "0s", "matchImages": ["`+host+`"],
		"args": ["--default-files=false", "--file=`+file+`", "--helper-path=`+m.dir+`/helpers:/usr/bin:/bin"]}]}`)
	m.helper("leads", `echo x >>`+m.dir+`/led
echo "$server" | REGCRED_CONFIG=`+providers+` REGCRED_BIN_DIR=`+filepath.Dir(plugin)+` exec `+own+` get`)
	m.write("config.json", `{"credHelpers": {"`+host+`": "leads"}}`)
	a = m.ask(file, image)
	a.WantFailure(1, "docker-credential-leads", "a provider of this node runs docker-credential-regcred, which runs the providers")
	a.WantWithin(5 * time.Second)
	if ran, err := os.ReadFile(m.dir + "/led"); err != nil || string(ran) != "x\n" {
		t.Errorf("it was run %d times, want once", strings.Count(string(ran), "x"))
	}
}

// Programs that somebody else could have put there are not run, nor what only
// looks like a name.
func TestWhichHelpersAreRun(t *testing.T) {
	m := newMachine(t)
	file := m.write("config.json", `{"credHelpers": {"`+host+`": "test"}}`)
	m.ask(file, image).WantFailure(1, "docker-credential-test", "it is in none of ", "--helper-path")
	m.helper("test", `touch `+m.dir+`/ran; echo '{"Username":"jane","Secret":"secret"}'`)
	program := filepath.Join(m.dir, "helpers/docker-credential-test")
	for _, ruin := range []func() error{
		func() error { return os.Chmod(program, 0o777) },
		func() error { return os.Chmod(program, 0o644) },
	} {
		if err := ruin(); err != nil {
			t.Fatal(err)
		}
		m.ask(file, image).WantFailure(1, "docker-credential-test", "is not run")
	}
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Chown(program, 65534, 65534) == nil {
		m.ask(file, image).WantFailure(1, "not a program to trust", "owned by user 65534")
		if err := os.Chown(program, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"../helpers/docker-credential-test", "test;touch", "te st", "/bin/true"} {
		named := m.write("named.json", `{"credHelpers": {"`+host+`": "`+name+`"}}`)
		m.ask(named, image).WantFailure(1, "not the name of a helper")
	}
	if _, err := os.Stat(m.dir + "/ran"); err == nil {
		t.Error("it was run")
	}
	m.want(m.ask(file, image), image, "jane:secret")
}

// A login goes to the registry that its key is for, by the kubelet's rule.
func TestKeys(t *testing.T) {
	m := newMachine(t)
	m.helper("hub", `echo '{"ServerURL":"'$server'","Username":"hub","Secret":"'$server'"}'`)
	file := m.write("config.json", `{"auths": {
		"https://index.docker.io/v1/": `+auth("hub:secret")+`, "https://quay.io/v2/": `+auth("quay:secret")+`, "*.corp.example": `+auth("glob:secret")+`,
		"a.corp.example": `+auth("exact:secret")+`, "port.example:5000": `+auth("port:secret")+`, "GCR.io": `+auth("case:secret")+`}}`)
	for image, login := range map[string]string{
		"nginx": "docker.io hub:secret", "docker.io/team/app": "docker.io hub:secret", "index.docker.io/team/app": "docker.io hub:secret",
		"quay.io/app": "quay.io quay:secret", "a.corp.example/app": "a.corp.example exact:secret", "b.corp.example/app": "b.corp.example glob:secret",
		"port.example:5000/app": "port.example:5000 port:secret", "GCR.io/app": "GCR.io case:secret",
		"gcr.io/app": "", "port.example/app": "", "port.example:5001/app": "", "a.b.corp.example/app": "", "corp.example/app": "", "quay.io.evil.example/app": "",
		"localhost/app": "", "registry-1.docker.io/library/nginx": "", "evil.example/docker.io/library/nginx": "",
	} {
		a := m.ask(file, image)
		if login == "" {
			a.WantNothing(0, 0)
			continue
		}
		registry, login, _ := strings.Cut(login, " ")
		m.want(a, registry+"/x", login)
	}
	for key, server := range map[string]string{"https://index.docker.io/v1/": "https://index.docker.io/v1/", "docker.io": "docker.io", "index.docker.io": "https://index.docker.io/v1/"} {
		named := cloudtest.File(t, `{"credHelpers": {"`+key+`": "hub"}}`)
		m.want(m.ask(named, "nginx"), "docker.io/x", "hub:"+server)
	}
}

// A check looks as an answer does, tells what came of it and not the login, and
// keeps nothing.
func TestACheck(t *testing.T) {
	m := newMachine(t)
	m.helper("test", `echo '{"Username":"jane","Secret":"hunter2-hunter2"}'`)
	m.helper("sealed", `echo "the vault is sealed"; exit 1`)
	file := m.write("config.json", `{"credHelpers": {"helper.example.com": "test", "sealed.example.com": "sealed"}, "auths": {"`+host+`": `+auth("jane:hunter2-hunter2")+`}}`)
	for image, want := range map[string]struct {
		exit    int
		outcome string
		says    []string
	}{
		image:                    {0, "obtained", []string{"entry ", host, file}},
		"helper.example.com/app": {0, "obtained", []string{"docker-credential-test", file}},
		"sealed.example.com/app": {1, "failed", []string{"the vault is sealed"}},
		"other.example.com/app":  {0, "notMine", nil},
	} {
		a := m.ask(file, image, "--check")
		var report struct{ Outcome string }
		if err := json.Unmarshal([]byte(a.Stdout), &report); err != nil || a.Exit != want.exit || report.Outcome != want.outcome || !contains(a.Stdout, want.says...) || contains(a.Stdout, "hunter2") || a.Stderr != "" {
			t.Errorf("%s: exit code %d, %s, %s", image, a.Exit, a.Stdout, a.Stderr)
		}
	}
	cloudtest.WantNoCache(t, m.Cloud)
}
