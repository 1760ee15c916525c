//go:build !windows

package kubelet_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/shared/credential"
	"regcred/shared/kubelet"
)

const answer = `{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"0s",` +
	`"auth":{"registry.example.com":{"username":"user","password":"swordfish-1"}}}`

// ask runs a shell script as a provider.
func ask(t *testing.T, runner kubelet.Runner, text string, change func(*kubelet.Provider), pod kubelet.Pod) kubelet.Outcome {
	t.Helper()
	if runner.BinDir == "" {
		runner.BinDir = t.TempDir()
	}
	script(t, filepath.Join(runner.BinDir, "provider"), text)
	p := &kubelet.Provider{}
	p.Name, p.APIVersion = "provider", "credentialprovider.kubelet.k8s.io/v1"
	if change != nil {
		change(p)
	}
	return runner.Ask(t.Context(), p, "registry.example.com/app", pod)
}

// A provider is run with the kubelet's environment and then its own, in the
// kubelet's directory, with one line of JSON.
func TestAsk(t *testing.T) {
	dir := t.TempDir()
	runner := kubelet.Runner{Environ: []string{"A=kubelet", "B=kubelet", "OUT=" + filepath.Join(dir, "out")}, Dir: dir}
	o := ask(t, runner, `{ echo "$0"; echo "$# $1 $2"; pwd; echo "$A $B $HOME"; cat; } >"$OUT"; echo '`+answer+`'`, func(p *kubelet.Provider) {
		p.Args = []string{"get credentials", ""}
		p.Env = []kubeletconfig.ExecEnvVar{{Name: "B", Value: "first"}, {Name: "B", Value: "last"}}
	}, kubelet.Pod{})
	if o.Err != nil || len(o.Problems) > 0 || !o.Exited || o.ExitCode != 0 || o.Duration <= 0 {
		t.Fatalf("%+v", o)
	}
	got, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	want := o.Argv[0] + "\n2 get credentials \n" + dir + "\nkubelet last \n" +
		`{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"registry.example.com/app"}` + "\n"
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if a := o.Response.Auth; len(a) != 1 || a[0].Username != "user" || a[0].Password.Reveal() != "swordfish-1" || *o.Response.CacheDuration != 0 {
		t.Errorf("%+v", o.Response)
	}
}

func TestAskFails(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		change func(*kubelet.Provider)
		want   string // of Err
		exited bool
		code   int
	}{
		"exit":        {"cat >/dev/null; echo one >&2; echo last word >&2; echo '" + answer + "'; exit 3", nil, "exit status 3 of DIR/provider, which printed: last word", true, 3},
		"secret":      {"cat >/dev/null; echo 'login with swordfish-2' >&2; echo '" + strings.ReplaceAll(answer, "swordfish-1", "swordfish-2") + "'; exit 1", nil, "which printed: login with [redacted]", true, 1},
		"signal":      {"kill -9 $$", nil, "end by signal (killed) of DIR/provider", true, -1},
		"time":        {"sleep 60", nil, "no result within 300ms from DIR/provider", false, -1},
		"missing":     {"", func(p *kubelet.Provider) { p.Name = "nowhere" }, "start the program: no such file or directory: DIR/nowhere", false, -1},
		"directory":   {"", func(p *kubelet.Provider) { p.Name = "" }, "permission denied: DIR", false, -1},
		"interpreter": {"", func(p *kubelet.Provider) { p.Name = "bad" }, "no interpreter", false, -1},
		"environment": {"", func(p *kubelet.Provider) { p.Env = []kubeletconfig.ExecEnvVar{{Name: "A", Value: "a\x00b"}} }, "NUL", false, -1},
		"version":     {"", func(p *kubelet.Provider) { p.APIVersion = "v1" }, `encode the request: apiVersion "v1"`, false, -1},
		"nothing":     {"cat >/dev/null", nil, "nothing on stdout", true, 0},
		"log":         {"cat >/dev/null; echo starting; echo '" + answer + "'", nil, "text before the JSON object", true, 0},
		"much":        {"cat >/dev/null; exec yes", nil, "more than 1 MiB on stdout", false, -1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "bad"), []byte("#!/nowhere/shell\n"), 0o700); err != nil { //nolint:gosec // It is run.
				t.Fatal(err)
			}
			limit := 10 * time.Second
			if name == "time" {
				limit = 300 * time.Millisecond
			}
			o := ask(t, kubelet.Runner{BinDir: dir, Timeout: limit, Environ: []string{"PATH=" + os.Getenv("PATH")}}, tc.script, tc.change, kubelet.Pod{})
			want := strings.ReplaceAll(tc.want, "DIR", dir)
			if o.Err == nil || !strings.Contains(o.Err.Error(), want) || strings.Contains(o.Err.Error(), "\n") {
				t.Errorf("got %v, want %s", o.Err, want)
			}
			if o.Exited != tc.exited || o.ExitCode != tc.code || o.Response != nil {
				t.Errorf("%+v", o)
			}
			var keyring kubelet.Keyring
			if keyring.AddOutcome(o); len(keyring.Candidates("registry.example.com/app")) > 0 {
				t.Error("a credential")
			}
		})
	}
}

// No process of a provider outlives it, and one that holds its stdout is told.
func TestAskLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	runner := kubelet.Runner{Environ: []string{"PATH=" + os.Getenv("PATH"), "PID=" + pidFile}}
	began := time.Now()
	o := ask(t, runner, "cat >/dev/null; sleep 300 & echo $! >\"$PID\"; echo '"+answer+"'", nil, kubelet.Pod{})
	if o.Err != nil || time.Since(began) > 30*time.Second {
		t.Errorf("after %s: %+v", time.Since(began), o)
	}
	if len(o.Problems) != 1 || o.Problems[0].Code != "process-left" || o.Problems[0].Level != kubelet.Warning {
		t.Errorf("%+v", o.Problems)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := syscall.Kill(pid, 0); err != nil {
			return
		}
		if state, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); strings.Contains(string(state), ") Z ") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("process %d still runs", pid)
}

// A pod's service account decides whether a provider is run, and with what.
func TestServiceAccounts(t *testing.T) {
	yes, no := true, false
	account := &kubelet.ServiceAccount{Namespace: "ns", Name: "sa", UID: "uid", Annotations: map[string]string{"a": "1", "b": "2", "c": "3"}}
	token := func(_ context.Context, audience string) (credential.Secret, error) {
		return credential.NewSecret("token-for-" + audience), nil
	}
	for name, tc := range map[string]struct {
		attributes *kubeletconfig.ServiceAccountTokenAttributes
		pod        kubelet.Pod
		stdin      string // what is in it
		skipped    string
		err        string
	}{
		"not wanted": {nil, kubelet.Pod{ServiceAccount: account, Token: token}, `"image":"registry.example.com/app"}`, "", ""},
		"with annotations": {
			&kubeletconfig.ServiceAccountTokenAttributes{ServiceAccountTokenAudience: "sts", RequireServiceAccount: &yes, CacheType: "Token",
				RequiredServiceAccountAnnotationKeys: []string{"a"}, OptionalServiceAccountAnnotationKeys: []string{"b", "z"}},
			kubelet.Pod{ServiceAccount: account, Token: token}, `"serviceAccountToken":"token-for-sts","serviceAccountAnnotations":{"a":"1","b":"2"}}`, "", "",
		},
		"none, and required": {
			&kubeletconfig.ServiceAccountTokenAttributes{ServiceAccountTokenAudience: "sts", RequireServiceAccount: &yes, CacheType: "Token"},
			kubelet.Pod{}, "", "it requires a service account (requireServiceAccount), and the pod has none", "",
		},
		"none, and not required": {
			&kubeletconfig.ServiceAccountTokenAttributes{ServiceAccountTokenAudience: "sts", RequireServiceAccount: &no, CacheType: "Token"},
			kubelet.Pod{}, `"image":"registry.example.com/app"}`, "", "",
		},
		"annotation missing": {
			&kubeletconfig.ServiceAccountTokenAttributes{ServiceAccountTokenAudience: "sts", RequireServiceAccount: &yes, CacheType: "Token", RequiredServiceAccountAnnotationKeys: []string{"a", "z"}},
			kubelet.Pod{ServiceAccount: account, Token: token}, "", `it requires the annotation "z" (requiredServiceAccountAnnotationKeys), and service account ns/sa has none`, "",
		},
		"no token": {
			&kubeletconfig.ServiceAccountTokenAttributes{ServiceAccountTokenAudience: "sts", RequireServiceAccount: &yes, CacheType: "Token"},
			kubelet.Pod{ServiceAccount: account, Token: func(context.Context, string) (credential.Secret, error) {
				return credential.Secret{}, errors.New("forbidden")
			}}, "", "", `get a service account token for audience "sts": forbidden`,
		},
		"nobody to ask": {
			&kubeletconfig.ServiceAccountTokenAttributes{ServiceAccountTokenAudience: "sts", RequireServiceAccount: &yes, CacheType: "Token"},
			kubelet.Pod{ServiceAccount: account}, "", "", "no service account token: nobody to ask for one",
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := filepath.Join(t.TempDir(), "in")
			o := ask(t, kubelet.Runner{Environ: []string{"PATH=" + os.Getenv("PATH"), "IN=" + in}}, `cat >"$IN"; echo '`+answer+`'`,
				func(p *kubelet.Provider) { p.TokenAttributes = tc.attributes }, tc.pod)
			if o.Skipped != tc.skipped || (o.Err == nil) != (tc.err == "") || o.Err != nil && o.Err.Error() != tc.err {
				t.Errorf("%+v", o)
			}
			got, _ := os.ReadFile(in)
			if (len(got) == 0) != (tc.stdin == "") || !strings.Contains(string(got), tc.stdin) {
				t.Errorf("stdin %q", got)
			}
		})
	}
}

// The kubelet refuses the token as a password, unless it keeps answers by token.
func TestTokenAsPassword(t *testing.T) {
	yes := true
	pod := kubelet.Pod{
		ServiceAccount: &kubelet.ServiceAccount{Namespace: "ns", Name: "sa"},
		Token: func(context.Context, string) (credential.Secret, error) {
			return credential.NewSecret("swordfish-1"), nil
		},
	}
	for _, cacheType := range []kubeletconfig.ServiceAccountTokenCacheType{"ServiceAccount", "Token"} {
		o := ask(t, kubelet.Runner{Environ: []string{"PATH=" + os.Getenv("PATH")}}, "cat >/dev/null; echo '"+answer+"'", func(p *kubelet.Provider) {
			p.TokenAttributes = &kubeletconfig.ServiceAccountTokenAttributes{ServiceAccountTokenAudience: "sts", RequireServiceAccount: &yes, CacheType: cacheType}
		}, pod)
		if (o.Err == nil) != (cacheType == "Token") {
			t.Errorf("%s: %+v", cacheType, o)
		}
		if o.Err != nil && (o.Problems[0].Code != "response-token" || strings.Contains(o.Err.Error(), "swordfish")) {
			t.Errorf("%s: %v", cacheType, o.Err)
		}
	}
}

// Programs are looked for as the kubelet looks for them when it starts.
func TestCheckBinaries(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	script(t, filepath.Join(dir, "there"), "")
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("there", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	var c kubelet.Config
	for i, name := range []string{"there", "link", "plain", "directory", "nowhere"} {
		p := kubelet.Provider{File: "f", Index: i}
		p.Name = name
		c.Providers = append(c.Providers, p)
	}
	var got []string
	for _, p := range c.CheckBinaries(dir) {
		got = append(got, p.Field+" "+p.Message)
	}
	want := []string{
		`providers[2].name program "` + dir + `/plain": permission denied`,
		`providers[3].name program "` + dir + `/directory": is a directory`,
		`providers[4].name program "` + dir + `/nowhere": no such file or directory`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q", got)
	}
	if p := c.CheckBinaries(filepath.Join(dir, "nowhere")); len(p) != 1 || p[0].Code != "bin-dir-missing" {
		t.Errorf("got %v", p)
	}
}

// What a provider prints that was told to print something else is returned as it
// is, and it is run as for an answer.
func TestOutput(t *testing.T) {
	dir := t.TempDir()
	script(t, filepath.Join(dir, "provider"), `if [ "$1" = fail ]; then echo "no reason" >&2; exit 1; fi; echo "told $1:"; cat`)
	yes := true
	for name, tc := range map[string]struct {
		args    []string
		require bool
		token   error
		want    string
		wantErr string
		skipped bool
	}{
		"as it is":       {[]string{"explain"}, false, nil, "told explain:\n{\"kind\":\"CredentialProviderRequest\"", "", false},
		"a failure":      {[]string{"fail"}, false, nil, "", "which printed: no reason", false},
		"no token":       {[]string{"explain"}, true, errors.New("forbidden"), "", `audience "cloud": forbidden`, false},
		"with a token":   {[]string{"explain"}, true, nil, `"serviceAccountToken":"token-1"`, "", false},
		"not for a node": {[]string{"explain"}, true, nil, "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := &kubelet.Provider{}
			p.Name, p.APIVersion, p.Args = "provider", "credentialprovider.kubelet.k8s.io/v1", tc.args
			var pod kubelet.Pod
			if tc.require {
				p.TokenAttributes = &kubeletconfig.ServiceAccountTokenAttributes{ServiceAccountTokenAudience: "cloud", RequireServiceAccount: &yes, CacheType: "ServiceAccount"}
			}
			if tc.require && !tc.skipped {
				pod = kubelet.Pod{ServiceAccount: &kubelet.ServiceAccount{Namespace: "team", Name: "app"}, Token: func(context.Context, string) (credential.Secret, error) {
					return credential.NewSecret("token-1"), tc.token
				}}
			}
			text, o := kubelet.Runner{BinDir: dir}.Output(t.Context(), p, "registry.example.com/app", pod)
			if (o.Err != nil) != (tc.wantErr != "") || o.Err != nil && !strings.Contains(o.Err.Error(), tc.wantErr) || (o.Skipped != "") != tc.skipped {
				t.Fatalf("%+v", o)
			}
			if !strings.Contains(string(text), tc.want) || tc.want == "" && text != nil || o.Provider != p {
				t.Errorf("%q", text)
			}
		})
	}
}
