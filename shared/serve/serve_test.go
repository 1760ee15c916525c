package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/explain"
	"regcred/shared/plugin"
	"regcred/shared/settings"
)

// cloud is a plugin for registry.cloud whose answers a test writes.
type cloud struct {
	settings.Common
	fetch    func(ctx context.Context) (credential.Credential, error)
	perImage bool
	unkept   bool
	pattern  string
	name     func() string // nil is "cloud as node"
}

func (c *cloud) Flags(fs *pflag.FlagSet) {
	c.Common.Flags(fs)
	fs.BoolVar(&c.perImage, "per-image", false, "")
	fs.BoolVar(&c.unkept, "unkept", false, "")
	fs.StringVar(&c.pattern, "anonymous", "", "")
}

func (c *cloud) Provider(plugin.Run) (credential.Provider, error) { return c, nil }
func (c *cloud) Key() credential.Key                              { return credential.Key{"cloud"} }

func (c *cloud) String() string {
	if c.name != nil {
		return c.name()
	}
	return "cloud as node"
}

func (c *cloud) Answer(r credential.Request) (credential.Answer, error) {
	switch {
	case r.Registry.Host() != "registry.cloud":
		return credential.Answer{}, nil
	case r.Annotations["role"] == "none":
		return credential.Answer{}, fmt.Errorf("%s has no role", r.Pod)
	default:
		return credential.Answer{Source: c, PerImage: c.perImage, Unkept: c.unkept, Anonymous: c.pattern}, nil
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
		plugin: plugin.Plugin{Name: "cloud-credential-provider", Guide: "A guide.", Kind: "CloudConfig", New: func() plugin.Settings { return &cloud{fetch: fetch} }},
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
	if got.code != code || got.stdout != "" || strings.Contains(got.stderr, "\n") || !strings.HasPrefix(got.stderr, "cloud-credential-provider: ") || !strings.Contains(got.stderr, want) {
		t.Errorf("got %+v; want code %d and one line without an end, with %q", got, code, want)
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

// A Source whose answer is not kept is asked in every run.
func TestAnAnswerThatIsNotKept(t *testing.T) {
	asked := 0
	fetch := func(context.Context) (credential.Credential, error) {
		asked++
		return credential.Credential{Username: "user", Password: credential.NewSecret(fmt.Sprintf("password %d", asked)), Expires: time.Now().Add(time.Hour)}, nil
	}
	dir := t.TempDir() + "/c"
	for run := 1; run <= 2; run++ {
		got := start(t.Context(), fetch, request, "--unkept", "--cache-dir="+dir)
		if want := fmt.Sprintf(`"cacheDuration":"10m0s","auth":{"registry.cloud":{"username":"user","password":"password %d"}}`, run); got.code != 0 || !strings.Contains(got.stdout, want) {
			t.Errorf("got %+v, want %s", got, want)
		}
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		t.Errorf("%d files are kept", len(entries))
	}
	failing := func(context.Context) (credential.Credential, error) {
		asked++
		return credential.Credential{}, errors.New("refused")
	}
	for range 2 {
		wantFailure(t, start(t.Context(), failing, request, "--unkept", "--cache-dir="+dir), 1, "registry.cloud: refused")
	}
	if asked != 4 {
		t.Errorf("asked %d times", asked)
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
		"no request":            {"", nil, 1, "request on stdin: "},
		"no image reference":    {strings.ReplaceAll(request, "registry.cloud/app", "https://x"), nil, 1, `image reference "https://x"`},
		"no token":              {strings.ReplaceAll(podRequest("x"), "e30."+claims, "x."+claims+".y"), nil, 1, "service account token: "},
		"an alias of another's": {strings.ReplaceAll(request, "registry.cloud", "mirror.example.com"), []string{"--alias=mirror.example.com=evil.example.com"}, 1, "alias of evil.example.com, which is not a registry of this cloud"},
		"a wrong flag":          {request, []string{"--no-such"}, 2, "unknown flag"},
		"a wrong setting":       {request, []string{"--identity-scope=x"}, 2, "identityScope"},
	} {
		t.Run(name, func(t *testing.T) {
			wantFailure(t, start(t.Context(), broken, tc.stdin, append(tc.args, "--cache-dir=")...), tc.code, tc.want)
		})
	}
}

func TestAPanicIsOneLineThatRepeatsNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	got := start(t.Context(), func(context.Context) (credential.Credential, error) { panic("hunter2 " + claims) }, request, "--cache-dir=", "--log-file", file)
	wantFailure(t, got, 1, "internal error (string at serve_test.go:")
	log, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(log), "internal error (string at serve_test.go:") {
		t.Errorf("logged: %q, %v", log, err)
	}
	if strings.Contains(got.stderr+string(log), "hunter2") {
		t.Errorf("the panic's value is printed: %s, %s", got.stderr, log)
	}
}

// What goes wrong while a run tidies up and logs takes no answer back.
func TestAPanicAfterTheAnswerFailsNothing(t *testing.T) {
	var stdout bytes.Buffer
	var stderr brokenPipe
	p := process{
		plugin: plugin.Plugin{Name: "cloud-credential-provider", New: func() plugin.Settings { return &cloud{fetch: issue(time.Hour)} }},
		args:   []string{"--cache-dir=", "--log-level=info"}, stdin: strings.NewReader(request), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" },
	}
	if code := p.run(t.Context()); code != 0 || !strings.Contains(stdout.String(), "password") || !strings.Contains(stderr.String(), "internal error (string at serve_test.go:") {
		t.Errorf("got code %d, %q, %q", code, stdout.String(), stderr.String())
	}
}

// brokenPipe panics at the first line that is logged.
type brokenPipe struct {
	bytes.Buffer
	panicked bool
}

func (b *brokenPipe) Write(line []byte) (int, error) {
	if !b.panicked {
		b.panicked = true
		panic("hunter2")
	}
	return b.Buffer.Write(line)
}

func TestASignalEndsTheRunAndIsNoFailureOfTheCloud(t *testing.T) {
	args := "--cache-dir=" + t.TempDir() + "/c"
	got := start(t.Context(), func(ctx context.Context) (credential.Credential, error) {
		if self, err := os.FindProcess(os.Getpid()); err != nil || self.Signal(os.Interrupt) != nil {
			t.Skip("signals cannot be sent here")
		}
		<-ctx.Done()
		return credential.Credential{}, fmt.Errorf("asking: %w", ctx.Err())
	}, request, args)
	wantFailure(t, got, 1, "registry.cloud: stopped by a signal")
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
	for _, want := range []string{"level=INFO msg=answered", "image=registry.cloud/app", `source="cloud as node"`, "hit=false", `level=ERROR msg="registry.cloud: down"`} {
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

func TestALogThatCannotBeWrittenFailsNothing(t *testing.T) {
	for name, arg := range map[string]string{
		"a directory":       "--log-file=" + t.TempDir(),
		"no such directory": "--log-file=" + t.TempDir() + "/no/such/log",
		"no such journal":   "--log-journald",
	} {
		t.Run(name, func(t *testing.T) {
			got := start(t.Context(), issue(time.Hour), request, "--cache-dir=", arg)
			if got.code != 0 || !strings.Contains(got.stdout, "password") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// What is logged on the way is on stderr for a run that succeeds, and not before
// the one line of one that fails: the kubelet quotes both together.
func TestWarningsDoNotComeBeforeAFailure(t *testing.T) {
	occupied := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(occupied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := start(t.Context(), issue(time.Hour), request, "--cache-dir="+occupied); got.code != 0 || !strings.Contains(got.stderr, "level=WARN") {
		t.Errorf("got %+v", got)
	}
	down := func(context.Context) (credential.Credential, error) {
		return credential.Credential{}, errors.New("down")
	}
	wantFailure(t, start(t.Context(), down, request, "--cache-dir="+occupied), 1, "registry.cloud: down")
	// Who asks for more gets it at once.
	if got := start(t.Context(), down, request, "--cache-dir=", "--log-level=debug"); got.code != 1 || !strings.HasSuffix(got.stderr, "cloud-credential-provider: registry.cloud: down") {
		t.Errorf("got %+v", got)
	}
}

// Whatever a line has, and in whatever type, passes through redact.
func TestWhateverIsLoggedIsRedacted(t *testing.T) {
	var stderr bytes.Buffer
	hide := func(text string) string { return strings.ReplaceAll(text, "hunter2", "[redacted]") }
	log := newLogger("cloud", &settings.Common{LogJournald: settings.Off}, &stderr, hide)
	log.With("before", "hunter2").WithGroup("group").Warn("of hunter2", "string", "hunter2", "error", errors.New("hunter2"), "list", []string{"hunter2"},
		"fields", struct{ Name string }{"hunter2"}, "source", &cloud{name: func() string { return "hunter2" }}, "took", time.Second)
	if got := stderr.String(); strings.Contains(got, "hunter2") || strings.Count(got, "[redacted]") != 7 || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "group.took=1s") {
		t.Errorf("logged %s", got)
	}
}

// The watchdog says where a run is stuck, and ends it even if nobody reads that.
func TestTheWatchdog(t *testing.T) {
	for name, stderr := range map[string]io.Writer{"is read": new(bytes.Buffer), "is full": full{}, "is read after the answer": new(bytes.Buffer)} {
		synctest.Test(t, func(t *testing.T) {
			p := process{plugin: plugin.Plugin{Name: "cloud-credential-provider"}, stderr: stderr}
			want := 1
			if strings.Contains(name, "answer") {
				p.answered.Store(true)
				want = 0
			}
			p.step.set("reading the request from stdin")
			begin, exited := time.Now(), make(chan time.Duration, 1)
			p.watch(func(code int) {
				if code != want {
					t.Errorf("stderr %s: exits with %d", name, code)
				}
				exited <- time.Since(begin)
			})
			if took := <-exited; took < watchdogTimeout || took > 59*time.Second {
				t.Errorf("stderr %s: exits after %s", name, took)
			}
			time.Sleep(2 * time.Hour) // for whoever still writes
			if text, ok := stderr.(*bytes.Buffer); ok && want == 1 && text.String() != "cloud-credential-provider: no answer within 55s: stuck at reading the request from stdin" {
				t.Errorf("stderr: %q", text)
			}
		})
	}
}

// full is a pipe that nobody reads, for an hour.
type full struct{}

func (full) Write(text []byte) (int, error) { time.Sleep(time.Hour); return len(text), nil }

func TestAStuckJournalHoldsUpNobody(t *testing.T) {
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	w := journaldWriter{send: func(string, journal.Priority, map[string]string) error { <-stuck; return nil }}
	begin := time.Now()
	if _, err := w.Write([]byte("level=INFO msg=x\n")); err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}

func TestJournalLinesHaveTheirPriority(t *testing.T) {
	for line, want := range map[string]journal.Priority{
		"level=ERROR msg=x\n": journal.PriErr, "level=WARN msg=x\n": journal.PriWarning, "level=INFO msg=x\n": journal.PriInfo,
	} {
		w := journaldWriter{name: "name", send: func(text string, priority journal.Priority, fields map[string]string) error {
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
	if got.code != 0 || !strings.HasPrefix(got.stdout, "A guide.\n\nWith --explain=text ") || !strings.Contains(got.stdout, "\n\nFlags, ") || !strings.Contains(got.stdout, "--cache-dir") ||
		strings.HasSuffix(got.stdout, "\n\n") || !strings.HasSuffix(got.stdout, "\n") || got.stderr != "" {
		t.Errorf("got %+v", got)
	}
}

// An explanation asks nobody, and whoever it names it tells no secret of.
func TestAnExplanationAsksNobody(t *testing.T) {
	dir := "--cache-dir=" + t.TempDir() + "/c"
	nobody := func(context.Context) (credential.Credential, error) { panic("asked") }
	explained := func(stdin string, args ...string) explain.Explanation {
		t.Helper()
		got := start(t.Context(), nobody, stdin, append(args, "--explain", dir)...)
		var e explain.Explanation
		if err := json.Unmarshal([]byte(got.stdout), &e); err != nil || got.code != 0 || got.stderr != "" {
			t.Fatalf("got %+v, %v", got, err)
		}
		if strings.Contains(got.stdout, claims) || strings.Contains(got.stdout, "password") {
			t.Errorf("a secret is told: %s", got.stdout)
		}
		return e
	}
	if e := explained(request); e.Source != "cloud as node" || e.Identity != explain.Node || e.Cache.Entry != nil || e.Next != explain.Ask {
		t.Errorf("before anything was asked: %+v", e)
	}
	if got := start(t.Context(), issue(time.Hour), request, dir); got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	e := explained(request)
	if e.Cache.Entry == nil || e.Cache.Entry.State != "fresh" || e.Next != explain.Serve || e.Registry != "registry.cloud" || e.Image != "registry.cloud/app" || !e.Own || e.Plugin != "cloud-credential-provider" || e.Version != "devel" {
		t.Errorf("after that: %+v", e)
	}
	if e := explained(podRequest("none")); e.Refused != "service account ns/sa has no role" || e.Next != explain.Fail || e.ServiceAccount != "ns/sa" || e.Annotations["role"] != "none" {
		t.Errorf("what is refused: %+v", e)
	}
	if e := explained(strings.ReplaceAll(request, "registry.cloud", "other.cloud")); e.Own || e.Source != "" || e.Next != explain.Pass {
		t.Errorf("another's: %+v", e)
	}
	text := start(t.Context(), nobody, request, "--explain=text", dir)
	if text.code != 0 || !strings.Contains(text.stdout, "asked       cloud as node\n") || !strings.Contains(text.stdout, "a run now   answers from the cache, and asks nobody\n") {
		t.Errorf("as text: %+v", text)
	}
	wantFailure(t, start(t.Context(), nobody, "", "--explain", dir), 1, "request on stdin: ")
	wantFailure(t, start(t.Context(), nobody, request, "--explain=yaml", dir), 2, "--explain=yaml: want text or json")
}

// Nothing is made or changed by it.
func TestAnExplanationLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	got := start(t.Context(), nil, request, "--explain", "--cache-dir="+dir+"/c", "--log-file="+dir+"/log")
	left, err := os.ReadDir(dir)
	if got.code != 0 || err != nil || len(left) != 0 {
		t.Errorf("got %+v; left %v, %v", got, left, err)
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
		case got.code != 0 && (got.stdout != "" || strings.Contains(got.stderr, "\n")):
			t.Errorf("failed with %+v", got)
		}
	})
}
