package cloudtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	strictjson "sigs.k8s.io/json"
)

// Patience is less than the minute after which the kubelet kills a plugin and
// loses its message.
const Patience = 55 * time.Second

const v1 = "credentialprovider.kubelet.k8s.io/v1"

// Question is one run of a plugin: what the kubelet writes to it, and what the
// kubelet's configuration gives it besides.
type Question struct {
	APIVersion  string // empty: v1
	Image       string
	Token       string // of a service account; empty: none
	Annotations map[string]string

	Args []string
	Env  []string // besides PATH
}

// Request is what the kubelet writes.
func (q Question) Request(t *testing.T) []byte {
	t.Helper()
	request := credentialprovider.CredentialProviderRequest{
		Image:                     q.Image,
		ServiceAccountToken:       q.Token,
		ServiceAccountAnnotations: q.Annotations,
	}
	request.Kind, request.APIVersion = "CredentialProviderRequest", q.version()
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (q Question) version() string {
	if q.APIVersion != "" {
		return q.APIVersion
	}
	return v1
}

// Command is the plugin as systemd's kubelet starts it: no HOME, no TMPDIR, in
// the root folder.
func (q Question) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, program, append(args, q.Args...)...)
	command.Dir = "/"
	command.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, q.Env...)
	return command
}

// Ask runs a plugin to its end, with the question's request or anything else
// on its standard input.
func Ask(t *testing.T, plugin string, q Question, stdin []byte) Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	command := q.Command(ctx, plugin)
	command.Stdin = bytes.NewReader(stdin)
	a := Start(t, command).Answer()
	if ctx.Err() != nil {
		t.Fatalf("no answer within %s", Patience)
	}
	a.version = q.version()
	return a
}

// Invocation is a run of a plugin that may not have ended.
type Invocation struct {
	*exec.Cmd
	t              *testing.T
	begin          time.Time
	stdout, stderr bytes.Buffer
}

// Start starts a command, a plugin or one that becomes it.
func Start(t *testing.T, command *exec.Cmd) *Invocation {
	t.Helper()
	r := &Invocation{Cmd: command, t: t, begin: time.Now()}
	r.Stdout, r.Stderr = &r.stdout, &r.stderr
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// Answer waits for the end of the run.
func (r *Invocation) Answer() Answer {
	r.t.Helper()
	var exit *exec.ExitError
	if err := r.Wait(); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return Answer{
		Exit:    r.ProcessState.ExitCode(),
		Stdout:  r.stdout.String(),
		Stderr:  r.stderr.String(),
		Took:    time.Since(r.begin),
		t:       r.t,
		version: v1,
	}
}

// Answer is what came of one run.
type Answer struct {
	Exit           int
	Stdout, Stderr string
	Took           time.Duration

	t       *testing.T
	version string // that was asked in
}

// Response is the answer as the kubelet's strict decoder reads it, and for how
// long the kubelet keeps it.
func (a Answer) Response() (response credentialprovider.CredentialProviderResponse, keep time.Duration) {
	a.t.Helper()
	if a.Exit != 0 {
		a.t.Fatalf("exit code %d, %s", a.Exit, a.Stderr)
	}
	strict, err := strictjson.UnmarshalStrict([]byte(a.Stdout), &response)
	if err != nil || len(strict) != 0 {
		a.t.Fatalf("stdout is not a response: %v %v\n%s", err, strict, a.Stdout)
	}
	if response.Kind != "CredentialProviderResponse" || response.APIVersion != a.version {
		a.t.Errorf("answered a %s of %s, want a CredentialProviderResponse of %s", response.Kind, response.APIVersion, a.version)
	}
	if response.CacheDuration == nil {
		a.t.Fatal("no cacheDuration: the kubelet would use its own")
	}
	return response, response.CacheDuration.Duration
}

// quietResponse is the answer without a word on stderr.
func (a Answer) quietResponse() (response credentialprovider.CredentialProviderResponse, keep time.Duration) {
	a.t.Helper()
	if a.Exit == 0 && a.Stderr != "" {
		a.t.Errorf("stderr: %s", a.Stderr)
	}
	return a.Response()
}

// WantLogin fails the test unless the answer is a password for exactly one
// registry, for all of its images, and returns it.
func (a Answer) WantLogin(registry, username string) (password string, keep time.Duration) {
	a.t.Helper()
	return a.wantLogin(credentialprovider.RegistryPluginCacheKeyType, registry, username)
}

// WantImageLogin is WantLogin where the password is for the one image that was
// asked for.
func (a Answer) WantImageLogin(registry, username string) (password string, keep time.Duration) {
	a.t.Helper()
	return a.wantLogin(credentialprovider.ImagePluginCacheKeyType, registry, username)
}

func (a Answer) wantLogin(goodFor credentialprovider.PluginCacheKeyType, registry, username string) (password string, keep time.Duration) {
	a.t.Helper()
	response, keep := a.quietResponse()
	if response.CacheKeyType != goodFor {
		a.t.Errorf("cacheKeyType %q, want %s", response.CacheKeyType, goodFor)
	}
	login, ok := response.Auth[registry]
	if !ok || len(response.Auth) != 1 {
		a.t.Fatalf("auth for %d registries, want it for %s", len(response.Auth), registry)
	}
	if login.Username != username {
		a.t.Errorf("user %q, want %s", login.Username, username)
	}
	return login.Password, keep
}

// WantNothing fails the test unless the answer is that there is no credential,
// to be kept for at least and at most so long.
func (a Answer) WantNothing(least, most time.Duration) {
	a.t.Helper()
	response, keep := a.quietResponse()
	if response.Auth == nil || len(response.Auth) != 0 {
		a.t.Errorf("auth for %d registries, want {}", len(response.Auth))
	}
	if keep < least || keep > most {
		a.t.Errorf("the kubelet keeps the answer for %s, want %s to %s", keep, least, most)
	}
}

// secretLike is what only tokens and keys look like.
var secretLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}|ya29\.|PRIVATE KEY|[A-Za-z0-9+=_-]{100,}|[A-Za-z0-9+/_-]{100,}=`)

// Secret returns what in a text looks like a token or a key, or nothing.
func Secret(text string) string { return secretLike.FindString(text) }

// WantFailure fails the test unless the run failed with the exit code and one
// line for the operator that says all of this and no secret.
func (a Answer) WantFailure(plugin string, exit int, says ...string) {
	a.t.Helper()
	if a.Exit != exit || a.Stdout != "" {
		a.t.Errorf("exit code %d and %d bytes on stdout, want %d and none", a.Exit, len(a.Stdout), exit)
	}
	line, rest, ended := strings.Cut(a.Stderr, "\n")
	if !ended || rest != "" || !strings.HasPrefix(line, filepath.Base(plugin)+": ") {
		a.t.Errorf("stderr is not one line of the plugin's:\n%s", a.Stderr)
	}
	for _, want := range says {
		if !strings.Contains(line, want) {
			a.t.Errorf("the line does not say %q:\n\t%s", want, line)
		}
	}
	if secret := Secret(a.Stderr); secret != "" {
		a.t.Errorf("%q on stderr may be a secret", secret)
	}
}

// WantWithin fails the test if the run took longer.
func (a Answer) WantWithin(limit time.Duration) {
	a.t.Helper()
	if a.Took > limit {
		a.t.Errorf("took %s, want at most %s", a.Took, limit)
	}
}
