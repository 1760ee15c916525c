// Package serve is the skeleton of every plugin: it owns stdin, stdout, the
// budget, the log and the exit code, so that a cloud's package contains only
// its own subject.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"regcred/shared/cache"
	"regcred/shared/credential"
	"regcred/shared/image"
	"regcred/shared/protocol"
	"regcred/shared/redact"
	"regcred/shared/serviceaccount"
	"regcred/shared/settings"
)

// budget bounds a run. The kubelet kills a plugin after 60 seconds and loses
// its message with it.
const budget = 50 * time.Second

// lastResort ends a run that the budget could not: one that reads a stdin which
// nobody finishes writing, or a file that does not answer.
const lastResort = 55 * time.Second

// Main runs a plugin and exits.
func Main(plugin settings.Plugin) {
	forbidCoreDump()
	p := process{plugin: plugin, args: os.Args[1:], stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	// stdout is the protocol and stderr is one line. No library may print to
	// either, nor a program that one starts: the HTTP/2 client prints headers
	// when GODEBUG says so, and a helper that outlives this process would keep
	// the kubelet waiting for the end of its output.
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		os.Exit(p.fail(1, err))
	}
	os.Stdout, os.Stderr = null, null
	log.SetOutput(io.Discard)
	time.AfterFunc(lastResort, func() {
		_, _ = fmt.Fprintf(p.stderr, "%s: no answer within %s: stuck at reading stdin or a file, or at writing the answer\n", plugin.Name, lastResort)
		os.Exit(1)
	})
	os.Exit(p.run(context.Background()))
}

// process is one run of a plugin with everything it touches.
type process struct {
	plugin         settings.Plugin
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string

	// token is the request's, once it is known: whatever is printed is
	// searched for it.
	token string
	log   journal
}

// run answers the request and returns the exit code: 0 for an answer, be it
// that there is no credential for this host, 1 for a failure and 2 for a
// command line or configuration that is wrong. A failure is one line on
// stderr.
func (p *process) run(ctx context.Context) (code int) {
	defer func() {
		if value := recover(); value != nil {
			code = p.fail(1, fmt.Errorf("internal error (%s); please report it", panicked(value)))
		}
	}()
	loaded, invocation, err := p.plugin.Load(p.args, p.getenv)
	switch {
	case err != nil:
		return p.fail(2, err)
	case invocation.Help:
		_, _ = io.WriteString(p.stdout, p.help())
		return 0
	case invocation.Version != "":
		_, _ = io.WriteString(p.stdout, describeVersion(p.plugin.Name, invocation.Version))
		return 0
	}
	p.log = openJournal(p.plugin.Name, loaded.Shared(), p.stderr, p.redact)
	defer p.log.close()
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	if err := p.answer(ctx, loaded); err != nil {
		return p.fail(1, err)
	}
	return 0
}

// answer reads the request, finds the credential and writes the response.
func (p *process) answer(ctx context.Context, loaded settings.Settings) error {
	begin := time.Now()
	p.hintAtTerminal()
	wire, err := protocol.Read(p.stdin)
	if err != nil {
		return err
	}
	p.token = wire.ServiceAccountToken
	request, err := parse(wire)
	if err != nil {
		return err
	}
	source, err := find(request, loaded, p.getenv)
	if err != nil {
		return fmt.Errorf("%s: %w", request.Image.Registry, err)
	}
	response := protocol.Response{CacheKey: protocol.CacheRegistry}
	if source == nil {
		p.log.Info("not this cloud's registry", "image", request.Image)
		return protocol.Write(p.stdout, wire.APIVersion, response)
	}
	common := loaded.Shared()
	getter := cache.New(cache.Options{Dir: common.CacheDir, Log: p.log.Logger})
	c, err := getter.Get(ctx, stoppable{source})
	if err != nil {
		return fmt.Errorf("%s: %w", request.Image.Registry, outOfTime(ctx, err))
	}
	if loaded.PerImage() {
		response.CacheKey = protocol.CacheImage
	}
	response.CacheDuration = kubeletCache(c, time.Now(), time.Duration(common.MaxKubeletCache))
	if !c.IsAnonymous() {
		response.Registry = request.Image.Registry.String()
		response.Username = c.Username
		response.Password = c.Password.Reveal()
		response.Anonymous = loaded.Anonymous(request.Image.Registry)
	}
	if err := protocol.Write(p.stdout, wire.APIVersion, response); err != nil {
		return err
	}
	p.log.Info("answered", "image", request.Image, "anonymous", c.IsAnonymous(), "expires", c.Expires.UTC().Format(time.RFC3339),
		"kubeletCache", response.CacheDuration.Truncate(time.Second), "took", time.Since(begin).Round(time.Microsecond))
	return nil
}

// parse turns what the kubelet wrote into what a provider is asked.
func parse(wire protocol.Request) (credential.Request, error) {
	ref, err := image.Parse(wire.Image)
	if err != nil {
		return credential.Request{}, err
	}
	request := credential.Request{Image: ref, Registry: ref.Registry, Annotations: wire.ServiceAccountAnnotations}
	if wire.ServiceAccountToken != "" {
		if request.Pod, err = serviceaccount.Parse(wire.ServiceAccountToken); err != nil {
			return credential.Request{}, err
		}
	}
	return request, nil
}

// find returns the source that answers a request, or nil if the registry is
// not this cloud's.
func find(request credential.Request, loaded settings.Settings, getenv func(string) string) (credential.Source, error) {
	common := loaded.Shared()
	if request.Pod != nil && request.Pod.PodUID == "" && common.IdentityScope == serviceaccount.ScopePod {
		return nil, fmt.Errorf("%s: the token names no pod, which identity scope pod needs", request.Pod)
	}
	target, aliased := common.Registry(request.Registry)
	request.Registry = target
	source, err := loaded.Provider(getenv).Source(request)
	if err == nil && source == nil && aliased {
		err = fmt.Errorf("is an alias of %s, which is not a registry of this cloud: correct --alias", target)
	}
	return source, err
}

// stoppable is a Source whose Fetch ends at a signal, with a message and
// without a record of a failure that was none. Elsewhere a signal simply ends
// the process: there is nothing to say or to undo, and a hit is spared the
// preparations.
type stoppable struct{ credential.Source }

func (s stoppable) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := s.Source.Fetch(ctx, getter)
	if err != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", credential.ErrStopped, err)
	}
	return c, err
}

// littleLife is how much life a credential has to have for the kubelet to keep
// it: a pull may wait in the kubelet's queue after it was handed one.
const littleLife = 2 * time.Minute

// askSoon is for how long the kubelet keeps a credential whose refresh is due:
// it is being refreshed, or that failed.
const askSoon = 30 * time.Second

// kubeletCache returns for how long the kubelet may keep an answer. It is
// never longer than the cap: the kubelet can not be told to forget, and a run
// that finds its answer in the cache costs it a few milliseconds.
func kubeletCache(c credential.Credential, now time.Time, most time.Duration) time.Duration {
	left := c.Expires.Sub(now)
	if left < littleLife {
		return 0
	}
	d := c.Refresh.Sub(now)
	if d <= 0 {
		d = askSoon
	}
	return min(d, most)
}

// outOfTime says that the budget ended a run where its error may only say that
// something did.
func outOfTime(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("no answer within %s: %w", budget, err)
}

// fail reports an error as the one line that the kubelet copies into its log.
func (p *process) fail(code int, err error) int {
	line := p.redact(err.Error())
	p.log.record(slog.LevelError, line)
	_, _ = fmt.Fprintf(p.stderr, "%s: %s\n", p.plugin.Name, line)
	return code
}

func (p *process) redact(text string) string { return redact.Line(text, p.token) }

// hintAtTerminal tells a person who started the plugin by hand what it waits
// for.
func (p *process) hintAtTerminal() {
	file, ok := p.stdin.(*os.File)
	if !ok {
		return
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return
	}
	if null, err := os.Stat(os.DevNull); err != nil || !os.SameFile(info, null) {
		_, _ = fmt.Fprintf(p.stderr, "%s: reading a CredentialProviderRequest from the terminal; see --help\n", p.plugin.Name)
	}
}

// help is the plugin's guide and its flags.
func (p *process) help() string {
	return strings.TrimRight(p.plugin.Guide, "\n") + "\n\nFlags, each also an environment variable; a flag wins over a variable, that over the file:\n" +
		strings.TrimRight(p.plugin.Usage(p.getenv), "\n") + "\n"
}

// panicked says where a panic came from. What it says is not repeated: it may
// hold anything.
func panicked(value any) string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") && !strings.Contains(frame.Function, "serve.(*process).run.func") {
			return fmt.Sprintf("%T at %s:%d", value, filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return fmt.Sprintf("%T", value)
		}
	}
}
