package dockerconfig

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
	"regcred/shared/dockerconfig"
	"regcred/shared/image"
	"regcred/shared/plugin"
	"regcred/shared/resolve"
	"regcred/shared/serviceaccount"
)

// write writes a docker configuration.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	writeTo(t, path, text)
	return path
}

func writeTo(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// load is the plugin that reads these files alone.
func load(t testing.TB, files []string, args ...string) *plugin.Cloud {
	t.Helper()
	args = append(args, "--default-files=false")
	for _, file := range files {
		args = append(args, "--file", file)
	}
	return loadAs(t, plugintest.Getenv("PATH="+os.Getenv("PATH"), "HOME=/root"), args...)
}

func loadAs(t testing.TB, getenv func(string) string, args ...string) *plugin.Cloud {
	t.Helper()
	c, _, err := Plugin().Load(args, getenv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// direct is a Getter that keeps nothing.
type direct struct{}

func (direct) Token(ctx context.Context, source credential.TokenSource) (credential.Token, error) {
	return source.Fetch(ctx, direct{})
}

func (direct) Renew(_ context.Context, _ credential.TokenSource, refused credential.Token) (credential.Token, error) {
	return refused, nil
}

// answered says in a line how an image is answered for: user:password, "nothing"
// where the registry is nobody's, "anonymous", or an error.
func answered(t testing.TB, c *plugin.Cloud, name string, pod *serviceaccount.Token) string {
	t.Helper()
	got, err := resolve.Answer(c, plugintest.Request(t, name, pod, nil))
	if err != nil {
		return "error: " + err.Error()
	}
	if got.Source == nil {
		return "nothing"
	}
	found, err := got.Source.Fetch(t.Context(), direct{})
	switch {
	case err != nil:
		return "error: " + err.Error()
	case found.IsAnonymous():
		return "anonymous"
	case !found.Expires.After(time.Now()):
		return "expired"
	}
	text := found.Username + ":" + found.Password.Reveal()
	if got.PerImage {
		text += " for the image"
	}
	return text
}

// auths is a configuration with a login for each key, whose user is the key.
func auths(keys ...string) string {
	entries := make([]string, 0, len(keys))
	for _, key := range keys {
		entries = append(entries, fmt.Sprintf("%q: {\"auth\": %q}", key, base64.StdEncoding.EncodeToString([]byte(key+":secret"))))
	}
	return `{"auths": {` + strings.Join(entries, ",") + `}}`
}

// Who gets what, by the keys of one file.
func TestKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		keys []string
		want map[string]string // by image; the key whose login it is
	}{
		"a host": {[]string{"reg.example.com"}, map[string]string{
			"reg.example.com/app": "reg.example.com", "reg.example.com/a/b/c": "reg.example.com", "reg.example.com:443/app": "", "REG.example.com/app": "",
			"reg.example.com.evil.example/app": "", "evil.example/reg.example.com/app": "", "areg.example.com/app": "", "docker.io/library/app": "",
		}},
		"a port": {[]string{"reg.example.com:5000"}, map[string]string{"reg.example.com:5000/app": "reg.example.com:5000", "reg.example.com/app": "", "reg.example.com:5001/app": ""}},
		"URLs": {[]string{"https://reg.example.com", "http://two.example.com/v2/", "https://three.example.com/v1/"}, map[string]string{
			"reg.example.com/app": "https://reg.example.com", "two.example.com/app": "http://two.example.com/v2/", "three.example.com/app": "https://three.example.com/v1/",
		}},
		"paths": {[]string{"reg.example.com", "reg.example.com/team", "reg.example.com/team/app"}, map[string]string{
			"reg.example.com/other/app": "reg.example.com for the image", "reg.example.com/team/other": "reg.example.com/team for the image",
			"reg.example.com/team/app": "reg.example.com/team/app for the image", "reg.example.com/team-b/app": "reg.example.com/team for the image", "reg2.example.com/team/app": "",
		}},
		"a path alone": {[]string{"reg.example.com/team", "two.example.com"}, map[string]string{
			"reg.example.com/team/app": "reg.example.com/team for the image", "reg.example.com/app": "", "two.example.com/team/app": "two.example.com",
		}},
		"a glob of a path": {[]string{"*.example.com/team", "reg.example.com"}, map[string]string{"reg.example.com/team/app": "reg.example.com for the image", "two.example.com/team/app": "*.example.com/team for the image"}},
		"globs": {[]string{"*.example.com", "r*.example.com"}, map[string]string{
			"reg.example.com/app": "r*.example.com", "other.example.com/app": "*.example.com", "a.b.example.com/app": "", "example.com/app": "", "other.example.com:5000/app": "",
		}},
		"Docker Hub as docker writes it": {[]string{"https://index.docker.io/v1/"}, map[string]string{
			"nginx": "https://index.docker.io/v1/", "docker.io/team/app": "https://index.docker.io/v1/", "index.docker.io/team/app": "https://index.docker.io/v1/",
			"localhost/app": "", "MYHOST/app": "", "localhost:5000/app": "", "registry-1.docker.io/team/app": "", "docker.io.evil.example/team/app": "",
		}},
		"Docker Hub as podman writes it": {[]string{"docker.io", "docker.io/team"}, map[string]string{"nginx": "docker.io for the image", "team/app": "docker.io/team for the image"}},
		"Docker Hub, both":               {[]string{"docker.io", "https://index.docker.io/v1/"}, map[string]string{"nginx": "docker.io"}},
		"Docker Hub's real host":         {[]string{"registry-1.docker.io"}, map[string]string{"nginx": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, []string{write(t, auths(tc.keys...))})
			for image, key := range tc.want {
				want := "nothing"
				if login, how, found := strings.Cut(key, " "); key != "" {
					want = login + ":secret"
					if found {
						want += " " + how
					}
				}
				if got := answered(t, c, image, nil); got != want {
					t.Errorf("%s: got %s, want %s", image, got, want)
				}
			}
		})
	}
}

// The first file that has something for an image answers, whatever the later
// ones have. The kubelet reads no more than the first.
func TestSeveralFiles(t *testing.T) {
	first := write(t, auths("reg.example.com", "*.one.example"))
	second := write(t, auths("reg.example.com/team", "two.example.com", "a.one.example"))
	c := load(t, []string{write(t, "{}"), write(t, " \n"), first, second})
	for image, want := range map[string]string{
		"reg.example.com/team/app": "reg.example.com:secret for the image",
		"two.example.com/app":      "two.example.com:secret",
		"a.one.example/app":        "*.one.example:secret",
		"three.example.com/app":    "nothing",
	} {
		if got := answered(t, c, image, nil); got != want {
			t.Errorf("%s: got %s, want %s", image, got, want)
		}
	}
}

// A key may be a URL with a password in it, which matches as its host.
func TestNoPasswordOfAKeyIsTold(t *testing.T) {
	for _, config := range []string{
		`{"auths": {"https://jane:hunter2hunter2@reg.example.com": {}}}`,
		`{"auths": {"https://jane:hunter2hunter2@reg.example.com": {"auth": "%"}}}`,
		`{"credHelpers": {"https://jane:hunter2hunter2@reg.example.com": "absent"}}`,
	} {
		got := answered(t, load(t, []string{write(t, config)}), "reg.example.com/app", nil)
		if !strings.HasPrefix(got, "error: ") || !strings.Contains(got, `"https://reg.example.com"`) || strings.Contains(got, "hunter2") {
			t.Errorf("%s: got %s", config, got)
		}
	}
}

// What is no login is said to be none, and stands in the way of none.
func TestWhatIsNoLogin(t *testing.T) {
	for name, tc := range map[string]struct{ entry, want string }{
		"an identity token": {`{"identitytoken": "hunter2hunter2"}`, `entry "reg.example.com/team" of FILE has a token in place of a password, which the kubelet cannot use: log in with a user name and a password`},
		"one of Azure's":    {`{"auth": "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==", "identitytoken": "hunter2hunter2"}`, "has a token in place of a password"},
		"a registry token":  {`{"registrytoken": "hunter2hunter2"}`, "has a token in place of a password"},
		"no base64":         {`{"auth": "%hunter2%"}`, `entry "reg.example.com/team" of FILE cannot be used: auth not in base64`},
		"no colon":          {`{"auth": "aHVudGVyMmh1bnRlcjI="}`, "cannot be used: auth without a colon"},
		"nothing":           {`{}`, `entry "reg.example.com/team" of FILE has no user name and password in it: log in again`},
		"null":              {`null`, "has no user name and password"},
		"no password":       {`{"username": "jane"}`, "has no user name and password"},
		"no user":           {`{"password": "hunter2hunter2"}`, "has no user name and password"},
		"an end of a line":  {`{"username": "jane", "password": "\r\n"}`, "has no user name and password"},
		"two lines":         {`{"username": "jane", "password": "hunter2\nhunter2"}`, `entry "reg.example.com/team" of FILE cannot be used: a login with control characters, or not in UTF-8: write`},
		"a NUL in a user":   {`{"auth": "amFuZQA6aHVudGVyMg=="}`, "cannot be used: a login with control characters"},
		"Latin-1 in base64": {`{"auth": "amFuZTpodW50ZXIy6Q=="}`, "cannot be used: a login with control characters, or not in UTF-8"},
		"Latin-1":           {"{\"username\": \"jane\", \"password\": \"hunter2\xe9\"}", "cannot be used: a login with control characters, or not in UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			alone := write(t, `{"auths": {"reg.example.com/team": `+tc.entry+`}}`)
			got := answered(t, load(t, []string{alone}), "reg.example.com/team/app", nil)
			if want := strings.ReplaceAll(tc.want, "FILE", alone); !strings.HasPrefix(got, "error: ") || !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
				t.Errorf("got %s, want %s", got, want)
			}
			other := write(t, `{"auths": {"reg.example.com/team": `+tc.entry+`, "reg.example.com": {"username": "jane", "password": "secret"}}}`)
			if got := answered(t, load(t, []string{other}), "reg.example.com/team/app", nil); got != "jane:secret for the image" {
				t.Errorf("beside a login: got %s", got)
			}
			later := load(t, []string{alone, write(t, auths("reg.example.com"))})
			if got := answered(t, later, "reg.example.com/team/app", nil); got != "reg.example.com:secret for the image" {
				t.Errorf("before a file with a login: got %s", got)
			}
		})
	}
}

// echo writes the end of a line before base64, and old releases of docker wrote
// zeros. Neither is part of a password.
func TestWhatIsWrittenAfterAPassword(t *testing.T) {
	for _, password := range []string{"secret", "secret\n", "secret\r\n", "secret\x00\x00", " s\u00e9cret \n"} {
		text, _ := json.Marshal(password)
		for _, entry := range []string{
			`{"auth": "` + base64.StdEncoding.EncodeToString([]byte("jane:"+password)) + `"}`,
			`{"username": "jane", "password": ` + string(text) + `}`,
		} {
			c := load(t, []string{write(t, `{"auths": {"reg.example.com": `+entry+`}}`)})
			if got, want := answered(t, c, "reg.example.com/app", nil), "jane:"+strings.TrimRight(password, "\r\n\x00"); got != want {
				t.Errorf("%s: got %q, want %q", entry, got, want)
			}
		}
	}
}

// A configuration is the node's. A pod has no part in it.
func TestPods(t *testing.T) {
	shop, system := plugintest.PodIn(t, "shop", "web", "1", "2"), plugintest.PodIn(t, "kube-system", "cni", "3", "4")
	file := write(t, auths("reg.example.com"))
	c := load(t, []string{file})
	if got := answered(t, c, "reg.example.com/app", system); got != "reg.example.com:secret" {
		t.Errorf("kube-system: got %s", got)
	}
	got := answered(t, c, "reg.example.com/app", shop)
	const want = "error: service account shop/web names no identity to pull with: a docker configuration is the node's, so take tokenAttributes out of the plugin's entry, or let pods of its namespace pull as the node with --node-fallback=kube-system,shop"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := answered(t, c, "other.example.com/app", shop); got != "nothing" {
		t.Errorf("a registry that no file names: got %s", got)
	}
	if got := answered(t, load(t, []string{file}, "--node-fallback=shop"), "reg.example.com/app", shop); got != "reg.example.com:secret" {
		t.Errorf("--node-fallback: got %s", got)
	}
}

// An alias has the login of the registry that it stands for.
func TestAliases(t *testing.T) {
	c := load(t, []string{write(t, auths("reg.example.com/team"))}, "--alias=mirror.example.com=reg.example.com")
	for image, want := range map[string]string{
		"mirror.example.com/team/app":  "reg.example.com/team:secret for the image",
		"mirror.example.com/other/app": "error: alias of reg.example.com, which is not a registry of this cloud: correct --alias",
		"mirror2.example.com/team/app": "nothing",
	} {
		if got := answered(t, c, image, nil); got != want {
			t.Errorf("%s: got %s, want %s", image, got, want)
		}
	}
}

// The kubelet keeps no answer unless the operator wants that.
func TestTheKubeletKeepsNothing(t *testing.T) {
	file := write(t, auths("reg.example.com"))
	if got := time.Duration(load(t, []string{file}).Common.MaxKubeletCache); got != 0 {
		t.Errorf("got %s", got)
	}
	if got := time.Duration(load(t, []string{file}, "--max-kubelet-cache=1m").Common.MaxKubeletCache); got != time.Minute {
		t.Errorf("got %s", got)
	}
}

func TestBrokenSettings(t *testing.T) {
	file := write(t, "{}")
	dir := t.TempDir()
	broken, list := write(t, `{"auths": {"a": hunter2}}`), write(t, `[]`)
	large := write(t, `{"auths": "`+strings.Repeat("x", 1<<20)+`"}`)
	for want, args := range map[string][]string{
		`files[0]: not an absolute path: "config.json"`:                                 {"--file=config.json"},
		`files[1]: ` + dir + `/none: no such file`:                                      {"--file=" + file, "--file", dir + "/none"},
		`files[0]: ` + dir + `: not a regular file`:                                     {"--file=" + dir},
		`files[0]: ` + broken + `: not a docker configuration: invalid JSON at byte 17`: {"--file=" + broken},
		`files[0]: ` + list + `: not a docker configuration`:                            {"--file=" + list},
		`files[0]: ` + large + `: larger than 1 MiB`:                                    {"--file=" + large},
		`files: missing, and defaultFiles is false`:                                     {"--default-files=false"},
		`rootDir: not an absolute path: "kubelet"`:                                      {"--root-dir=kubelet"},
		`helperPath: not an absolute path: "bin"`:                                       {"--helper-path=/usr/bin:bin"},
		`helperTimeout: not between 0s and 40s: 0s`:                                     {"--helper-timeout=0s"},
		`helperTimeout: not between 0s and 40s: 1m0s`:                                   {"--helper-timeout=1m"},
	} {
		_, _, err := Plugin().Load(args, plugintest.Getenv())
		if err == nil || !strings.HasPrefix(err.Error(), "settings: "+want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want %s", args, err, want)
		}
	}
}

// A login of a registry is for it alone, whatever a file says: the key that it
// is under has to match the registry's own host.
func FuzzFind(f *testing.F) {
	f.Add(auths("reg.example.com", "*.example.com/team", "https://index.docker.io/v1/"), "reg.example.com/team/app")
	f.Add(`{"auths":{"index.docker.io":{"auth":"YTpi"},"https://reg@x:5?q#z/v2/a":{}},"credHelpers":{"*.io":"a"},"credsStore":"b"}`, "localhost/app")
	f.Add(`{"docker.io":{"username":"u","password":"p"}}`, "nginx")
	f.Fuzz(func(t *testing.T, text, name string) {
		ref, err := image.Parse(name)
		if err != nil {
			return
		}
		d, err := parse("FILE", []byte(text))
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") || !strings.HasPrefix(err.Error(), "FILE: ") {
				t.Errorf("got %q", err)
			}
			return
		}
		p := &provider{documents: []document{d}}
		for _, c := range p.find(ref.Registry, ref.Repository) {
			if c.key == "" {
				continue
			}
			pattern, _ := dockerconfig.Pattern(c.key)
			host, _, _ := strings.Cut(pattern, "/")
			matched, err := image.Match(host, ref.Registry.String()+"/x")
			if onHub := pattern == "index.docker.io" && ref.Registry.Host() == "docker.io"; !onHub && (err != nil || !matched) {
				t.Errorf("%s is answered with what is for %q", ref, c.key)
			}
		}
	})
}
