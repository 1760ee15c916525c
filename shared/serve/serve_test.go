package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	systemd "github.com/coreos/go-systemd/v22/journal"
	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/image"
	"regcred/shared/settings"
)

// cloud is a plugin for registry.cloud whose answers a test writes.
type cloud struct {
	settings.Common
	fetch    func(ctx context.Context) (credential.Credential, error)
	perImage bool
	pattern  string
}

func (c *cloud) Flags(fs *pflag.FlagSet) {
	c.Common.Flags(fs)
	fs.BoolVar(&c.perImage, "per-image", false, "")
	fs.StringVar(&c.pattern, "anonymous", "", "")
}

func (c *cloud) Validate() error                                  { return nil }
func (c *cloud) Provider(func(string) string) credential.Provider { return c }
func (c *cloud) Key() credential.Key                              { return credential.Key{"cloud"} }
func (c *cloud) PerImage() bool                                   { return c.perImage }
func (c *cloud) Anonymous(image.Registry) string                  { return c.pattern }

func (c *cloud) Source(r credential.Request) (credential.Source, error) {
	switch {
	case r.Registry.Host() != "registry.cloud":
		return nil, nil
	case r.Annotations["role"] == "none":
		return nil, fmt.Errorf("%s has no role", r.Pod)
	default:
		return c, nil
	}
}

func (c *cloud) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	return c.fetch(ctx)
}

func issue(life time.Duration) func(context.Context) (credential.Credential, error) {
	return func(context.Context) (credential.Credential, error) {
		return credential.Credential{Username: "user", Password: credential.NewSecret("password"), Expires: time.Now().Add(life)}, nil
	}
}

// result is what the kubelet sees of a run.
type result struct {
	code           int
	stdout, stderr string
}

func start(ctx context.Context, fetch func(context.Context) (credential.Credential, error), stdin string, args ...string) result {
	var stdout, stderr bytes.Buffer
	p := process{
		plugin: settings.Plugin{Name: "cloud-credential-provider", Guide: "A guide.", Kind: "CloudConfig", New: func() settings.Settings { return &cloud{fetch: fetch} }},
		args:   args, stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" },
	}
	code := p.run(ctx)
	return result{code, stdout.String(), stderr.String()}
}

const request = `{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"registry.cloud/app"}`

var claims = base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"i","sub":"system:serviceaccount:ns:sa","kubernetes.io":{"namespace":"ns","serviceaccount":{"name":"sa","uid":"u"}}}`))

func podRequest(annotation string) string {
	return strings.TrimSuffix(request, "}") + `,"serviceAccountToken":"e30.` + claims + `.c2lnbmF0dXJl","serviceAccountAnnotations":{"role":"` + annotation + `"}}`
}

// wantFailure checks the shape of every failure: nothing on stdout, one line on
// stderr, and no token.
func wantFailure(t *testing.T, got result, code int, want string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
	if got.code != code || got.stdout != "" || len(lines) != 1 || !strings.HasPrefix(lines[0], "cloud-credential-provider: ") || !strings.Contains(lines[0], want) {
		t.Errorf("got %+v; want code %d and one line with %q", got, code, want)
	}
	if strings.Contains(got.stderr, claims) {
		t.Error("the token is printed")
	}
}

func TestAnswers(t *testing.T) {
	const head = `{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":`
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		fetch func(context.Context) (credential.Credential, error)
		want  string
	}{
		"a credential":                 {request, nil, issue(12 * time.Hour), head + `"10m0s","auth":{"registry.cloud":{"username":"user","password":"password"}}}`},
		"its key is the host as asked": {strings.ReplaceAll(request, "registry.cloud", "Registry.Cloud:443"), nil, issue(12 * time.Hour), head + `"10m0s","auth":{"Registry.Cloud:443":{"username":"user","password":"password"}}}`},
		"for its image alone":          {request, []string{"--per-image"}, issue(12 * time.Hour), strings.ReplaceAll(head, "Registry", "Image") + `"10m0s","auth":{"registry.cloud":{"username":"user","password":"password"}}}`},
		"anonymous if it is refused":   {request, []string{"--anonymous=*.cloud"}, issue(12 * time.Hour), head + `"10m0s","auth":{"*.cloud":{"username":"","password":""},"registry.cloud":{"username":"user","password":"password"}}}`},
		"a cap of zero forbids":        {request, []string{"--max-kubelet-cache=0s"}, issue(12 * time.Hour), head + `"0s","auth":{"registry.cloud":{"username":"user","password":"password"}}}`},
		"little life left":             {request, nil, issue(119 * time.Second), head + `"0s","auth":{"registry.cloud":{"username":"user","password":"password"}}}`},
		"anonymous": {request, nil, func(context.Context) (credential.Credential, error) {
			return credential.Anonymous(time.Now().Add(time.Hour)), nil
		}, head + `"10m0s","auth":{}}`},
		"another's host": {strings.ReplaceAll(request, "registry.cloud", "registry.cloud.evil.com"), nil, nil, head + `"0s","auth":{}}`},
		"an alias":       {strings.ReplaceAll(request, "registry.cloud", "mirror.example.com:5000"), []string{"--alias=mirror.example.com:5000=registry.cloud"}, issue(12 * time.Hour), head + `"10m0s","auth":{"mirror.example.com:5000":{"username":"user","password":"password"}}}`},
		"v1alpha1":       {strings.ReplaceAll(request, "io/v1", "io/v1alpha1"), nil, issue(12 * time.Hour), strings.ReplaceAll(head, "io/v1", "io/v1alpha1") + `"10m0s","auth":{"registry.cloud":{"username":"user","password":"password"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := start(t.Context(), tc.fetch, tc.stdin, append(tc.args, "--cache-dir="+t.TempDir()+"/c")...)
			if got.code != 0 || got.stdout != tc.want+"\n" || got.stderr != "" {
				t.Errorf("got %+v\nwant %s", got, tc.want)
			}
		})
	}
}

func TestKubeletCache(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct{ expires, refresh, most, want time.Duration }{
		"until the refresh point":         {time.Hour, 7 * time.Minute, 10 * time.Minute, 7 * time.Minute},
		"capped":                          {12 * time.Hour, 6 * time.Hour, 10 * time.Minute, 10 * time.Minute},
		"refresh is due":                  {time.Hour, -time.Minute, 10 * time.Minute, 30 * time.Second},
		"refresh is due, no cache wanted": {time.Hour, -time.Minute, 0, 0},
		"little life left":                {time.Minute, 30 * time.Second, 10 * time.Minute, 0},
		"expired":                         {-time.Minute, -time.Hour, 10 * time.Minute, 0},
	} {
		c := credential.Credential{Expires: now.Add(tc.expires), Refresh: now.Add(tc.refresh)}
		if got := kubeletCache(c, now, tc.most); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

func TestFailures(t *testing.T) {
	broken := func(context.Context) (credential.Credential, error) {
		return credential.Credential{}, errors.New("sts at host: status 403\nsecond line with e30." + claims + ".c2lnbmF0dXJl")
	}
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		"the cloud's":           {podRequest("x"), nil, 1, "registry.cloud: sts at host: status 403 second line with [redacted]"},
		"the identity's":        {podRequest("none"), nil, 1, "registry.cloud: service account ns/sa has no role"},
		"no request":            {"", nil, 1, "request on stdin: is empty"},
		"no image reference":    {strings.ReplaceAll(request, "registry.cloud/app", "https://x"), nil, 1, `image reference "https://x"`},
		"no token":              {strings.ReplaceAll(podRequest("x"), "e30."+claims, "x."+claims+".y"), nil, 1, "service account token: is not a JWT"},
		"an alias of another's": {strings.ReplaceAll(request, "registry.cloud", "mirror.example.com"), []string{"--alias=mirror.example.com=evil.example.com"}, 1, "is an alias of evil.example.com, which is not a registry of this cloud"},
		"a wrong flag":          {request, []string{"--no-such"}, 2, "unknown flag"},
		"a wrong setting":       {request, []string{"--identity-scope=x"}, 2, "identityScope"},
	} {
		t.Run(name, func(t *testing.T) {
			wantFailure(t, start(t.Context(), broken, tc.stdin, append(tc.args, "--cache-dir=")...), tc.code, tc.want)
		})
	}
}

func TestAPanicIsOneLineThatRepeatsNothing(t *testing.T) {
	got := start(t.Context(), func(context.Context) (credential.Credential, error) { panic("hunter2 " + claims) }, request, "--cache-dir=")
	wantFailure(t, got, 1, "internal error (string at serve_test.go:")
	if strings.Contains(got.stderr, "hunter2") {
		t.Errorf("the panic's value is printed: %s", got.stderr)
	}
}

func TestASignalEndsTheRunAndIsNoFailureOfTheCloud(t *testing.T) {
	args := "--cache-dir=" + t.TempDir() + "/c"
	got := start(t.Context(), func(ctx context.Context) (credential.Credential, error) {
		if self, err := os.FindProcess(os.Getpid()); err != nil || self.Signal(os.Interrupt) != nil {
			t.Skip("signals can not be sent here")
		}
		<-ctx.Done()
		return credential.Credential{}, fmt.Errorf("asking: %w", ctx.Err())
	}, request, args)
	wantFailure(t, got, 1, "registry.cloud: stopped by a signal: asking: context canceled")
	if got := start(t.Context(), issue(time.Hour), request, args); got.code != 0 {
		t.Errorf("the next run got %+v", got)
	}
}

func TestTheLogFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	args := []string{"--cache-dir=", "--v=2", "--log-file", file}
	start(t.Context(), issue(time.Hour), podRequest("x"), args...)
	start(t.Context(), func(context.Context) (credential.Credential, error) {
		return credential.Credential{}, errors.New("down")
	}, podRequest("x"), args...)
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"level=INFO msg=answered", "image=registry.cloud/app", `level=ERROR msg="registry.cloud: down"`} {
		if !strings.Contains(string(log), want) {
			t.Errorf("%q is not in %s", want, log)
		}
	}
	if strings.Contains(string(log), claims) || strings.Contains(string(log), "password=") {
		t.Errorf("a secret is in %s", log)
	}
	if info, _ := os.Stat(file); runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the log has mode %s", info.Mode())
	}
}

func TestALogThatCanNotBeWrittenFailsNothing(t *testing.T) {
	for name, arg := range map[string]string{
		"a folder":        "--log-file=" + t.TempDir(),
		"no such folder":  "--log-file=" + t.TempDir() + "/no/such/log",
		"no such journal": "--log-journald",
	} {
		t.Run(name, func(t *testing.T) {
			got := start(t.Context(), issue(time.Hour), request, "--cache-dir=", arg)
			if got.code != 0 || !strings.Contains(got.stdout, "password") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAStuckJournalHoldsUpNobody(t *testing.T) {
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	w := journaldWriter{send: func(string, systemd.Priority, map[string]string) error { <-stuck; return nil }}
	begin := time.Now()
	if _, err := w.Write([]byte("level=INFO msg=x\n")); err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}

func TestJournalLinesHaveTheirPriority(t *testing.T) {
	for line, want := range map[string]systemd.Priority{
		"level=ERROR msg=x\n": systemd.PriErr, "level=WARN msg=x\n": systemd.PriWarning, "level=INFO msg=x\n": systemd.PriInfo,
	} {
		w := journaldWriter{name: "name", send: func(text string, priority systemd.Priority, fields map[string]string) error {
			if priority != want || text != strings.TrimSpace(line) || fields["SYSLOG_IDENTIFIER"] != "name" {
				t.Errorf("sent %q with priority %d and %v", text, priority, fields)
			}
			return nil
		}}
		if _, err := w.Write([]byte(line)); err != nil {
			t.Error(err)
		}
	}
}

func TestVersion(t *testing.T) {
	if got := start(t.Context(), nil, "", "--version"); got.code != 0 || !strings.HasPrefix(got.stdout, "cloud-credential-provider devel (go1.") {
		t.Errorf("got %+v", got)
	}
	got := start(t.Context(), nil, "", "--version=json")
	var version map[string]string
	if err := json.Unmarshal([]byte(got.stdout), &version); err != nil || version["version"] != "devel" || version["platform"] != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestHelp(t *testing.T) {
	got := start(t.Context(), nil, "", "--help")
	if got.code != 0 || !strings.HasPrefix(got.stdout, "A guide.\n\nFlags, ") || !strings.Contains(got.stdout, "--cache-dir") ||
		strings.HasSuffix(got.stdout, "\n\n") || !strings.HasSuffix(got.stdout, "\n") || got.stderr != "" {
		t.Errorf("got %+v", got)
	}
}

func FuzzRun(f *testing.F) {
	f.Add(request)
	f.Add(podRequest("x"))
	f.Fuzz(func(t *testing.T, stdin string) {
		got := start(context.Background(), issue(time.Hour), stdin, "--cache-dir=")
		switch {
		case got.code == 0 && !json.Valid([]byte(got.stdout)):
			t.Errorf("answered %q", got.stdout)
		case got.code != 0 && (got.stdout != "" || strings.Count(got.stderr, "\n") != 1):
			t.Errorf("failed with %+v", got)
		}
	})
}
