package cloudtest

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	strictjson "sigs.k8s.io/json"
)

// How long runs take at most. A busy machine takes many times as long as a quiet
// one, so that only what waits for what it need not wait for takes longer.
const (
	// Patience is less than the minute after which the kubelet kills a plugin
	// and loses its message.
	Patience = 58 * time.Second
	// Soon is for what is answered, or refused, without a pause worth the name.
	Soon = 30 * time.Second
	// Later is for what is given up once and asked for again, or several times.
	Later = 45 * time.Second
)

// Question is one run of a plugin.
type Question = fake.Question

// Ask runs a plugin on a machine to its end, with the question's request or
// anything else on its standard input.
func Ask(t *testing.T, c *cloud.Cloud, plugin string, q Question, stdin []byte) Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	command := q.Command(ctx, plugin)
	command.Stdin = bytes.NewReader(stdin)
	a := Start(t, c, plugin, command).Answer()
	if ctx.Err() != nil {
		t.Fatalf("no answer within %s", Patience)
	}
	a.version = q.Version()
	return a
}

// Invocation is a run of a plugin that may not have ended.
type Invocation struct {
	*exec.Cmd
	t              *testing.T
	plugin         string
	begin          time.Time
	stdout, stderr bytes.Buffer
}

// Start starts a command on a machine, a plugin or one that becomes it.
func Start(t *testing.T, c *cloud.Cloud, plugin string, command *exec.Cmd) *Invocation {
	t.Helper()
	r := &Invocation{Cmd: command, t: t, plugin: filepath.Base(plugin), begin: time.Now()}
	r.Stdout, r.Stderr = &r.stdout, &r.stderr
	if err := c.Start(command); err != nil {
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
		plugin:  r.plugin,
		version: fake.V1,
	}
}

// Answer is what came of one run.
type Answer struct {
	Exit           int
	Stdout, Stderr string
	Took           time.Duration

	t       *testing.T
	plugin  string // its name
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
func (a Answer) WantFailure(exit int, says ...string) {
	a.t.Helper()
	if a.Exit != exit || a.Stdout != "" {
		a.t.Errorf("exit code %d and %d bytes on stdout, want %d and none", a.Exit, len(a.Stdout), exit)
	}
	// The kubelet's log has what ends with a newline on lines of its own.
	line := a.Stderr
	if strings.ContainsAny(line, "\n\r") || !strings.HasPrefix(line, a.plugin+": ") {
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

// Recorded is what the line of a failure says that was recorded by another
// process.
const Recorded = "ago to another process"

var nextAttempt = regexp.MustCompile(`next attempt in (\S+)\)`)

// NextAttempt is when the cloud will be asked again, as the line of a failure
// says that was recorded.
func (a Answer) NextAttempt() time.Duration {
	a.t.Helper()
	said := nextAttempt.FindStringSubmatch(a.Stderr)
	if said == nil {
		a.t.Fatalf("the line does not say when the next attempt is: %s", a.Stderr)
	}
	left, err := time.ParseDuration(said[1])
	if err != nil {
		a.t.Fatal(err)
	}
	return left
}

// WantWithin fails the test if the run took longer.
func (a Answer) WantWithin(limit time.Duration) {
	a.t.Helper()
	if a.Took > limit {
		a.t.Errorf("took %s, want at most %s", a.Took, limit)
	}
}
