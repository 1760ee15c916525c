// Package serve is the skeleton of every plugin: it owns stdin, stdout, the
// budget, the log and the exit code, so that a cloud's package contains only
// its own subject.
package serve

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"regcred/shared/cache"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/protocol"
	"regcred/shared/redact"
	"regcred/shared/resolve"
	"regcred/shared/serviceaccount"
	"regcred/shared/settings"
	"regcred/shared/version"
)

// budget bounds a run. The kubelet kills a plugin after 60 seconds and loses
// its message with it.
const budget = 50 * time.Second

// Main runs a plugin and exits.
func Main(plugin plugin.Plugin) {
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
	p.watch(os.Exit)
	os.Exit(p.run(context.Background()))
}

// process is one run of a plugin with everything it touches.
type process struct {
	plugin         plugin.Plugin
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string

	log  logger
	step step

	// open is the log once it is open, for the watchdog.
	open atomic.Pointer[logger]

	// answered says that the kubelet has its answer. Whatever goes wrong after
	// that does not fail the run.
	answered atomic.Bool
}

// run handles the request and returns the exit code: 0 for an answer, be it
// that there is no credential for this host, 1 for a failure and 2 for a
// command line or configuration that is wrong. A failure is one line on
// stderr.
func (p *process) run(ctx context.Context) (code int) {
	defer func() {
		if value := recover(); value != nil {
			code = p.fail(1, fmt.Errorf("internal error (%s); please report it", panicked(value)))
		}
		if log := p.open.Load(); log != nil {
			log.close()
		}
	}()
	p.step.set("reading the settings")
	cloud, invocation, err := p.plugin.Load(p.args, p.getenv)
	switch {
	case err != nil:
		return p.fail(2, err)
	case invocation.Help:
		_, _ = io.WriteString(p.stdout, p.help())
		return 0
	case invocation.Version != "":
		_, _ = io.WriteString(p.stdout, version.Describe(p.plugin.Name, invocation.Version))
		return 0
	}
	if invocation.Explain != "" {
		if err := p.explain(cloud, invocation.Explain); err != nil {
			return p.fail(1, err)
		}
		return 0
	}
	p.log = newLogger(p.plugin.Name, cloud.Common, p.stderr, p.redact)
	p.open.Store(&p.log)
	if len(invocation.Args) > 0 {
		// What a plugin has no use for it passes over, as the vendors' do.
		p.log.Debug("arguments besides the flags", "arguments", strings.Join(invocation.Args, " "))
	}
	ctx, cancel := context.WithTimeout(cloudhttp.WithLog(ctx, p.log.Logger), budget)
	defer cancel()
	if invocation.Check {
		return p.check(ctx, cloud)
	}
	if err := p.handle(ctx, cloud); err != nil {
		return p.fail(1, err)
	}
	p.log.flush()
	return 0
}

// handle reads the request, finds the credential and writes the response.
func (p *process) handle(ctx context.Context, cloud *plugin.Cloud) error {
	begin := time.Now()
	version, request, err := p.read()
	if err != nil {
		return err
	}
	answer, err := resolve.Answer(cloud, request)
	if err != nil {
		return fmt.Errorf("%s: %w", request.Image.Registry, err)
	}
	if answer.Source == nil {
		p.log.Info("not this cloud's registry", "image", request.Image)
		return p.respond(version, protocol.Response{CacheKey: protocol.CacheRegistry})
	}
	p.step.set("asking " + answer.Source.String() + ", or waiting for another run that does")
	store := cache.New(cache.Options{
		Dir:           cloud.Common.CacheDir,
		Log:           p.log.Logger,
		Until:         end(request, cloud.Common),
		Interruptible: untilSignal,
	})
	get := store.Get
	if answer.Unkept {
		get = store.Ask
	}
	c, err := get(ctx, answer.Source)
	if err != nil {
		return fmt.Errorf("%s: %w", request.Image.Registry, outOfTime(ctx, err))
	}
	keep := kubeletCache(c.Credential, time.Now(), time.Duration(cloud.Common.MaxKubeletCache))
	if err := p.respond(version, response(request, answer, c.Credential, keep)); err != nil {
		return err
	}
	took := time.Since(begin)
	p.step.set("tidying the cache directory " + cloud.Common.CacheDir)
	store.Tidy()
	p.step.set("logging the answer")
	p.log.Info("answered", "image", request.Image, "source", answer.Source, "caller", c.Caller, "hit", c.Hit, "age", c.Age.Round(time.Second), "anonymous", c.IsAnonymous(),
		"expires", c.Expires.UTC().Format(time.RFC3339), "kubeletCache", keep.Truncate(time.Second), "took", took.Round(time.Microsecond))
	return nil
}

// read reads the request, and says of which version of the protocol it is.
func (p *process) read() (version string, request credential.Request, err error) {
	p.hintAtTerminal()
	p.step.set("reading the request from stdin")
	wire, err := protocol.Read(p.stdin)
	if err != nil {
		return "", credential.Request{}, err
	}
	request, err = resolve.Request(wire)
	return wire.APIVersion, request, err
}

// end is when what is obtained for a request stops being kept: with the pod,
// where pods are apart. Zero sets no end.
func end(request credential.Request, common *settings.Common) time.Time {
	if request.Pod == nil || common.IdentityScope != serviceaccount.ScopePod {
		return time.Time{}
	}
	return request.Pod.Expires
}

// respond writes the response to stdout.
func (p *process) respond(version string, response protocol.Response) error {
	p.step.set("writing the answer to stdout")
	err := protocol.Write(p.stdout, version, response)
	p.answered.Store(err == nil)
	return err
}

// response is what the kubelet is told of a credential.
func response(request credential.Request, answer credential.Answer, c credential.Credential, keep time.Duration) protocol.Response {
	r := protocol.Response{CacheKey: protocol.CacheRegistry, CacheDuration: keep}
	if answer.PerImage {
		r.CacheKey = protocol.CacheImage
	}
	if !c.IsAnonymous() {
		r.Registry = request.Image.Registry.String()
		r.Username = c.Username
		r.Password = c.Password.Reveal()
		r.Anonymous = answer.Anonymous
	}
	return r
}

// untilSignal returns a context that ends at a signal, so that a run which is
// stopped says so. Elsewhere a signal simply ends the process: there is nothing
// to say or to undo, and a hit is spared the preparations.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// minCacheableLife is how much life a credential has to have for the kubelet to keep
// it: a pull may wait in the kubelet's queue after it was handed one.
const minCacheableLife = 2 * time.Minute

// askSoon is for how long the kubelet keeps a credential whose refresh is due:
// it is being refreshed, or that failed.
const askSoon = 30 * time.Second

// kubeletCache returns for how long the kubelet may keep an answer. It is
// never longer than the cap: the kubelet cannot be told to forget, and a run
// that finds its answer in the cache costs it a few milliseconds.
func kubeletCache(c credential.Credential, now time.Time, most time.Duration) time.Duration {
	left := c.Expires.Sub(now)
	if left < minCacheableLife {
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
	p.step.set("writing a failure to the log and to stderr")
	line := p.redact(err.Error())
	p.record(line)
	_, _ = io.WriteString(p.stderr, p.line(line))
	if p.answered.Load() {
		return 0
	}
	return code
}

// record writes a failure to the log, once that is open.
func (p *process) record(line string) {
	if log := p.open.Load(); log != nil {
		log.record(slog.LevelError, line)
	}
}

// line is a line for stderr. The kubelet quotes what a plugin prints, and puts
// it on lines of its own if there is an end of a line in it: only a terminal
// gets one.
func (p *process) line(text string) string {
	line := p.plugin.Name + ": " + text
	if isTerminal(p.stderr) {
		line += "\n"
	}
	return line
}

func (p *process) redact(text string) string { return redact.Line(text, credential.Known()...) }

// hintAtTerminal tells a person who started the plugin by hand what it waits
// for.
func (p *process) hintAtTerminal() {
	if isTerminal(p.stdin) {
		_, _ = fmt.Fprintf(p.stderr, "%s: reading a CredentialProviderRequest from the terminal; see --help\n", p.plugin.Name)
	}
}

// help is the plugin's guide and its flags.
func (p *process) help() string {
	return strings.TrimRight(p.plugin.Guide, "\n") + `

With --explain=text the same request asks nobody: it says who would be asked for
what and as whom, or why the request is refused, and what the cache holds.
` + "\nFlags, each also an environment variable; a flag wins over a variable, that over the file:\n" +
		strings.TrimRight(p.plugin.Usage(p.getenv), "\n") + "\n"
}
