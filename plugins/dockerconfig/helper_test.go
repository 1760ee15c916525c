//go:build !windows

package dockerconfig

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
	"regcred/shared/dockerconfig"
	"regcred/shared/plugin"
)

// install puts a credential helper that is a shell script into a directory. It
// finds the server that it is asked about in $server.
func install(t testing.TB, dir, name, script string) {
	t.Helper()
	path := filepath.Join(dir, prefix+name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\nserver=$(cat)\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

const knows = `echo '{"ServerURL":"'$server'","Username":"jane","Secret":"of '$server'"}'`

// withHelpers is the plugin with a configuration and helpers.
func withHelpers(t testing.TB, dir, config string, args ...string) *plugin.Cloud {
	t.Helper()
	return load(t, []string{write(t, config)}, append(args, "--helper-path", dir)...)
}

// What a helper is asked about.
func TestServers(t *testing.T) {
	dir := t.TempDir()
	install(t, dir, "knows", `[ "$1" = get ] && `+knows)
	for name, tc := range map[string]struct{ config, image, want string }{
		"by registry":             {`{"credHelpers": {"reg.example.com": "knows"}}`, "reg.example.com/team/app", "jane:of reg.example.com"},
		"of another one":          {`{"credHelpers": {"reg.example.com": "knows"}}`, "reg.example.com.evil.example/app", "nothing"},
		"with a port":             {`{"credHelpers": {"reg.example.com:5000": "knows"}}`, "reg.example.com:5000/app", "jane:of reg.example.com:5000"},
		"by a glob":               {`{"credHelpers": {"*.dkr.ecr.*.amazonaws.com": "knows"}}`, "123456789012.dkr.ecr.us-east-1.amazonaws.com/app", "jane:of 123456789012.dkr.ecr.us-east-1.amazonaws.com"},
		"by a path":               {`{"credHelpers": {"reg.example.com/team": "knows"}}`, "reg.example.com/team/app", "jane:of reg.example.com for the image"},
		"not by the path":         {`{"credHelpers": {"reg.example.com/team": "knows"}}`, "reg.example.com/other/app", "nothing"},
		"Docker Hub, docker's":    {`{"credHelpers": {"https://index.docker.io/v1/": "knows"}}`, "nginx", "jane:of https://index.docker.io/v1/"},
		"Docker Hub, podman's":    {`{"credHelpers": {"docker.io": "knows"}}`, "nginx", "jane:of docker.io"},
		"for all":                 {`{"credsStore": "knows"}`, "any.example.com/app", "jane:of any.example.com"},
		"for all, Docker Hub":     {`{"credsStore": "knows"}`, "nginx", "jane:of https://index.docker.io/v1/"},
		"for all, with a stub":    {`{"credsStore": "knows", "auths": {"reg.example.com": {}}}`, "reg.example.com/app", "jane:of reg.example.com"},
		"its name is in capitals": {`{"CREDHELPERS": {"reg.example.com": "knows"}}`, "reg.example.com/app", "jane:of reg.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := answered(t, withHelpers(t, dir, tc.config), tc.image, nil); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// In which order helpers and logins are looked at, and what ends the search.
func TestHelpersAndLogins(t *testing.T) {
	dir := t.TempDir()
	install(t, dir, "knows", knows)
	install(t, dir, "unknown", `echo "credentials not found in native keychain"; exit 1`)
	install(t, dir, "fails", `echo "the vault is sealed"; exit 1`)
	const login = `"auths": {"reg.example.com": {"username": "joe", "password": "secret"}}`
	for name, tc := range map[string]struct{ config, want string }{
		"a helper before a login":                 {`{` + login + `, "credHelpers": {"reg.example.com": "knows"}}`, "jane:of reg.example.com"},
		"a login before what is for all":          {`{` + login + `, "credsStore": "knows"}`, "joe:secret"},
		"a more exact login":                      {`{"auths": {"reg.example.com/team": {"username": "joe", "password": "secret"}}, "credHelpers": {"reg.example.com": "knows"}}`, "joe:secret for the image"},
		"a less exact login":                      {`{"auths": {"*.example.com": {"username": "joe", "password": "secret"}}, "credHelpers": {"reg.example.com": "knows"}}`, "jane:of reg.example.com"},
		"a helper that does not know":             {`{` + login + `, "credHelpers": {"reg.example.com": "unknown"}}`, "joe:secret"},
		"a helper that does not know, alone":      {`{"credHelpers": {"reg.example.com": "unknown"}}`, "anonymous"},
		"what is for all does not know":           {`{"credsStore": "unknown"}`, "anonymous"},
		"the registry's own does not, it does":    {`{"credHelpers": {"reg.example.com": "unknown"}, "credsStore": "knows"}`, "jane:of reg.example.com"},
		"a helper that fails":                     {`{` + login + `, "credHelpers": {"reg.example.com": "fails"}}`, "error: docker-credential-fails, which FILE has for \"reg.example.com\", has failed: the vault is sealed: exit status 1"},
		"what is for all fails":                   {`{"credsStore": "fails"}`, "error: docker-credential-fails, the credsStore of FILE, has failed: the vault is sealed: exit status 1"},
		"what is for all fails, after a login":    {`{` + login + `, "credsStore": "fails"}`, "joe:secret"},
		"what is for all fails, with a stub":      {`{"credsStore": "fails", "auths": {"reg.example.com": {}}}`, "error: docker-credential-fails, which FILE has for \"reg.example.com\", has failed"},
		"a login, and no helper by an empty name": {`{` + login + `, "credHelpers": {"reg.example.com": ""}, "credsStore": "fails"}`, "joe:secret"},
		"nothing, and no helper by an empty name": {`{"auths": {"two.example.com": {}}, "credHelpers": {"reg.example.com": ""}, "credsStore": "knows"}`, "nothing"},
		"a token beside a helper for all":         {`{"credsStore": "knows", "auths": {"reg.example.com": {"identitytoken": "t"}}}`, "jane:of reg.example.com"},
		"a token beside one that does not know":   {`{"credsStore": "unknown", "auths": {"reg.example.com": {"identitytoken": "t"}}}`, "error: entry \"reg.example.com\" of FILE has a token in place of a password"},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, tc.config)
			c := load(t, []string{file}, "--helper-path", dir)
			got, want := answered(t, c, "reg.example.com/team/app", nil), strings.ReplaceAll(tc.want, "FILE", file)
			if failed := strings.HasPrefix(want, "error: "); got != want && (!failed || !strings.HasPrefix(got, want)) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}

	// What is for all comes after all that is for the registry, of any file.
	first, second := write(t, `{"credsStore": "fails"}`), write(t, "{"+login+"}")
	if got := answered(t, load(t, []string{first, second}, "--helper-path", dir), "reg.example.com/app", nil); got != "joe:secret" {
		t.Errorf("got %s", got)
	}
	if got := answered(t, load(t, []string{first, write(t, `{"credsStore": "knows"}`)}, "--helper-path", dir), "reg.example.com/app", nil); got != "jane:of reg.example.com" {
		t.Errorf("got %s", got)
	}
}

// What a helper prints that is no login, and what is said of it.
func TestWhatHelpersPrint(t *testing.T) {
	for name, tc := range map[string]struct{ script, want string }{
		"garbage":             {`echo hunter2-hunter2`, "has failed: not the JSON of a login: run it by hand as the kubelet's user"},
		"nothing":             {`:`, "has failed: not the JSON of a login"},
		"null":                {`echo null`, "has failed: not the JSON of a login"},
		"a list":              {`echo '["hunter2-hunter2"]'`, "has failed: not the JSON of a login"},
		"two":                 {`echo '{"Username":"a","Secret":"hunter2-hunter2"}{}'`, "has failed: not the JSON of a login"},
		"other fields":        {`echo '{"username":"jane","secret":"secret","Expires":1}'`, "jane:secret"},
		"no user":             {`echo '{"Secret":"hunter2-hunter2"}'`, "has failed: half a login"},
		"no password":         {`echo '{"Username":"jane"}'`, "has failed: half a login, without a password or without a user name: run it by hand"},
		"a password in a URL": {`echo '{"ServerURL":"https://jane:hunter2-hunter2@evil.example","Username":"jane","Secret":"hunter2-hunter2"}'`, `has failed: a login for another server, "https://evil.example": run`},
		"an empty object":     {`echo '{}'`, "anonymous"},
		"a token":             {`echo '{"Username":"<token>","Secret":"hunter2-hunter2"}'`, "has a token in place of a password, which the kubelet cannot use: log in with a user name and a password"},
		"another server":      {`echo '{"ServerURL":"https://evil.example","Username":"jane","Secret":"hunter2-hunter2"}'`, `has failed: a login for another server, "https://evil.example"`},
		"the server's URL":    {`echo '{"ServerURL":"https://REG.example.com:443/v2/","Username":"jane","Secret":"secret"}'`, "jane:secret"},
		"control characters":  {`printf '{"Username":"jane","Secret":"a\\u0000hunter2-hunter2"}'`, "has failed: a login with control characters, or not in UTF-8"},
		"too much":            {`yes hunter2-hunter2`, "has failed: more than 1 MiB on stdout"},
		"a reason":            {`echo "no such vault"; exit 3`, "has failed: no such vault: exit status 3"},
		"a reason on stderr":  {`echo "no such vault" >&2; exit 3`, "has failed: exit status 3 of DIR/docker-credential-test, which printed: no such vault"},
		"a login, failing":    {`echo '{"Username":"jane","Secret":"hunter2-hunter2"}'; exit 3`, "has failed: exit status 3 of"},
		"a long reason":       {`head -c 5000 /dev/zero | tr '\0' x; exit 1`, "has failed: " + strings.Repeat("x", 50)},
		"it hangs":            {`sleep 60`, "has failed: no result within 300ms"},
		"it leaves a child":   {`sleep 60 & echo '{"Username":"jane","Secret":"secret"}'`, "jane:secret"},
		"unknown, no newline": {`printf 'credentials not found in native keychain'; exit 1`, "anonymous"},
		"unknown, status 0":   {`echo 'credentials not found in native keychain'`, "has failed: not the JSON of a login"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			install(t, dir, "test", tc.script)
			begin := time.Now()
			args := []string{}
			if name == "it hangs" {
				args = append(args, "--helper-timeout=300ms")
			}
			got := answered(t, withHelpers(t, dir, `{"credHelpers": {"reg.example.com": "test"}}`, args...), "reg.example.com/app", nil)
			want := strings.ReplaceAll(tc.want, "DIR", dir)
			if failed := strings.HasPrefix(got, "error: "); failed && !strings.Contains(got, want) || !failed && got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if strings.Contains(got, "hunter2") || strings.ContainsAny(got, "\r\n") || len(got) > 1000 {
				t.Errorf("got %s", got)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// A program is run only where nobody else could have put it.
func TestWhichProgramIsRun(t *testing.T) {
	const config = `{"credHelpers": {"reg.example.com": "test"}}`
	first, second := t.TempDir(), t.TempDir()
	install(t, second, "test", knows)
	path := first + ":" + second
	ask := func(c *plugin.Cloud) string { return answered(t, c, "reg.example.com/app", nil) }
	if got := ask(withHelpers(t, path, config)); got != "jane:of reg.example.com" {
		t.Errorf("in the second directory: got %s", got)
	}
	install(t, first, "test", `echo '{"Username":"first","Secret":"secret"}'`)
	if got := ask(withHelpers(t, path, config)); got != "first:secret" {
		t.Errorf("in both: got %s", got)
	}
	file := write(t, config)
	if got := ask(loadAs(t, plugintest.Getenv("PATH=.:"+first), "--default-files=false", "--file", file)); got != "first:secret" {
		t.Errorf("by $PATH: got %s", got)
	}
	t.Chdir(first)
	if got := ask(loadAs(t, plugintest.Getenv("PATH=.::relative"), "--default-files=false", "--file", file)); !strings.Contains(got, "it is in none of") {
		t.Errorf("in the working directory: got %s", got)
	}
	if err := os.Chmod(first+"/"+prefix+"test", 0o777); err != nil {
		t.Fatal(err)
	}
	if got := ask(withHelpers(t, path, config)); !strings.Contains(got, "not a program to trust: "+first+"/docker-credential-test: writable by others: mode 0777") {
		t.Errorf("writable by others: got %s", got)
	}
	if err := os.Chmod(second, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := ask(withHelpers(t, second, config)); !strings.Contains(got, "not a program to trust: "+second+"/docker-credential-test: directory "+second+": writable by others: mode 0777") {
		t.Errorf("in a directory that others may write: got %s", got)
	}
	got := ask(withHelpers(t, t.TempDir(), config))
	if !strings.Contains(got, ", is not run: it is in none of ") || !strings.Contains(got, "--helper-path") {
		t.Errorf("nowhere: got %s", got)
	}
	for _, name := range []string{"../test", "a b", "/bin/sh", "x;y", "$HOME", strings.Repeat("x", 101)} {
		got := ask(withHelpers(t, path, `{"credHelpers": {"reg.example.com": "`+name+`"}}`))
		if !strings.Contains(got, "not the name of a helper") {
			t.Errorf("%q: got %s", name, got)
		}
	}
}

// The tool that answers as a credential helper runs this plugin.
func TestCircles(t *testing.T) {
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	for _, name := range []string{"regcred", "honest"} {
		install(t, dir, name, "touch "+ran+"\n"+knows)
	}
	for link, target := range map[string]string{"linked": prefix + "regcred", "tool": "regcred", "far": prefix + "linked"} {
		if err := os.Symlink(target, filepath.Join(dir, prefix+link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "regcred"), []byte("#!/bin/sh\ntouch "+ran+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"regcred", "linked", "tool", "far"} {
		for _, config := range []string{`{"credHelpers": {"reg.example.com": "` + name + `"}}`, `{"credsStore": "` + name + `"}`} {
			got := answered(t, withHelpers(t, dir, config), "reg.example.com/app", nil)
			if !strings.Contains(got, "docker-credential-"+name) || !strings.Contains(got, "would run this plugin in a circle: take it out of") {
				t.Errorf("%s: got %s", name, got)
			}
		}
	}
	// By a way that names do not show.
	file := write(t, `{"credHelpers": {"reg.example.com": "honest"}, "auths": {"two.example.com": {"username": "a", "password": "b"}}}`)
	c := loadAs(t, plugintest.Getenv(dockerconfig.InsideHelper+"=docker-credential-honest"), "--default-files=false", "--file", file, "--helper-path", dir)
	if got := answered(t, c, "reg.example.com/app", nil); !strings.Contains(got, "this plugin was itself run by a helper, docker-credential-honest: take it out of "+file) {
		t.Errorf("got %s", got)
	}
	if got := answered(t, c, "two.example.com/app", nil); got != "a:b" {
		t.Errorf("a login needs no helper: got %s", got)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a helper was run")
	}
}

// What a helper finds in its environment.
func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	install(t, dir, "test", `echo '{"Username":"'$HOME,$PATH,$REGCRED_INSIDE_HELPER,$EXTRA'","Secret":"'$(pwd)'"}'`)
	file := write(t, `{"credHelpers": {"reg.example.com": "test"}}`)
	t.Setenv("EXTRA", "extra")
	t.Setenv("HOME", "/home/jane")
	path := os.Getenv("PATH")
	args := []string{"--default-files=false", "--file", file, "--helper-path", dir + ":" + path}
	c := loadAs(t, plugintest.Getenv("PATH="+path, "HOME=/home/jane"), args...)
	if got, want := answered(t, c, "reg.example.com/app", nil), "/home/jane,"+path+",docker-credential-test,extra:/"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	t.Setenv("PATH", "")
	t.Setenv("HOME", "")
	if os.Geteuid() != 0 {
		return // only root's home is known
	}
	c = loadAs(t, plugintest.Getenv(), args...)
	if got, want := answered(t, c, "reg.example.com/app", nil), "/root,"+dir+":"+path+",docker-credential-test,extra:/"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What is kept of a helper's answer depends on the program, the registry and the
// file, and on nothing that is secret.
func TestKeysOfHelpers(t *testing.T) {
	dir := t.TempDir()
	install(t, dir, "test", knows)
	install(t, dir, "other", knows)
	keys := map[string]string{}
	add := func(what string, c candidate) {
		t.Helper()
		h := newHelpers(dir, time.Second, plugintest.Getenv())
		h.find(&dockerconfig.Config{CredsStore: c.helper})
		a, err := h.of(c)
		if err != nil {
			t.Fatal(err)
		}
		if source := (&search{candidates: []candidate{c}, helpers: h}); !source.Key().Contains(a.Key()) {
			t.Errorf("%s: the key of the search, %q, has not that of the helper's answer, %q", what, source.Key(), a.Key())
		}
		key := strings.Join(a.Key(), "\x00")
		if before, found := keys[key]; found {
			t.Errorf("%s and %s share a key", what, before)
		}
		keys[key] = what
	}
	base := candidate{file: "/a", key: "reg.example.com", helper: "test", server: "reg.example.com"}
	add("a helper", base)
	other := base
	other.helper = "other"
	add("another helper", other)
	other = base
	other.server = "two.example.com"
	add("another registry", other)
	other = base
	other.file = "/b"
	add("another file", other)
	install(t, dir, "test", knows+" # another one")
	add("a program that was replaced", base)
}

// For how long what a helper said is believed, by what that was.
func TestHowLongAHelperIsBelieved(t *testing.T) {
	dir := t.TempDir()
	install(t, dir, "knows", knows)
	install(t, dir, "unknown", `echo "credentials not found in native keychain"; exit 1`)
	install(t, dir, "fails", `exit 1`)
	for name, want := range map[string]time.Duration{"knows": helperLife, "unknown": unknownLife, "fails": helperRest} {
		h := newHelpers(dir, time.Second, plugintest.Getenv())
		h.find(&dockerconfig.Config{CredsStore: name})
		a, err := h.of(candidate{file: "/a", helper: name, server: "reg.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Fetch(t.Context(), direct{})
		life := time.Until(got.Expires)
		if failure, failed := errors.AsType[*credential.Failure](err); failed {
			life = failure.RetryAfter
		}
		if life > want || life < want-2*time.Second {
			t.Errorf("%s: got %s, %v; want %s", name, life, err, want)
		}
	}
}

func TestSameServer(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"reg.example.com", "https://reg.example.com/v2/", true},
		{"reg.example.com", "reg.example.com:443", true},
		{"reg.example.com", "REG.example.com/team/app", true},
		{"reg.example.com:5000", "reg.example.com", false},
		{"reg.example.com", "reg.example.com.evil.example", false},
		{"https://index.docker.io/v1/", "docker.io", true},
		{"https://index.docker.io/v1/", "registry-1.docker.io", true},
		{"https://index.docker.io/v1/", "https://evil.example/index.docker.io/", false},
		{"reg.example.com", "https://reg.example.com@evil.example", false},
		{"reg.example.com", "%zz", false},
	} {
		if got := sameServer(tc.a, tc.b); got != tc.want {
			t.Errorf("%s and %s: got %t", tc.a, tc.b, got)
		}
	}
}

// FuzzAnswer holds that no answer is half a login, and that what is kept of one
// is read back as it was.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{`{"ServerURL":"a","Username":"b","Secret":"c"}`, `{"username":"b","SECRET":"c"}`, "{}", "null", "[]", `"`, `{"Username":"\u0000"}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAnswer([]byte(text))
		if err != nil {
			if a != (answer{}) || strings.ContainsAny(err.Error(), "\r\n") || len(text) > 8 && strings.Contains(err.Error(), text) {
				t.Errorf("got %+v, %q", a, err)
			}
			return
		}
		if again, err := parseAnswer([]byte(a.text())); err != nil || again != a {
			t.Errorf("got %+v again, %v, want %+v", again, err, a)
		}
		for _, value := range []string{a.Username, a.Secret} {
			if slices.ContainsFunc([]byte(value), func(c byte) bool { return c < ' ' }) {
				t.Errorf("%q", value)
			}
		}
		_ = sameServer(a.ServerURL, "reg.example.com")
	})
}
