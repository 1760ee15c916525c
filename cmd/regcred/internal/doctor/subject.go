package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/cmd/regcred/internal/cluster"
	"regcred/cmd/regcred/internal/suite"
	"regcred/shared/check"
	"regcred/shared/kubelet"
	"regcred/shared/kubelet/pulls"
	"regcred/shared/program"
)

// subject is the node under the checks. What several of them need is found out
// by whichever needs it first.
type subject struct {
	Options
	ctx context.Context //nolint:containedctx // Of all checks, whichever needs something first.

	config   func() *kubelet.Config
	plugins  func() []*plugin
	attempts func() []*attempt
	images   func() []string
	api      func() apiServer
	version  func() (string, error)
}

func newSubject(ctx context.Context, o Options) *subject {
	s := &subject{Options: o, ctx: ctx}
	learn(o.Node.Env)
	s.config = sync.OnceValue(s.loadConfig)
	s.plugins = sync.OnceValue(s.findPlugins)
	s.attempts = sync.OnceValue(s.makeAttempts)
	s.images = sync.OnceValue(s.findImages)
	s.api = sync.OnceValue(s.openAPI)
	s.version = sync.OnceValues(func() (string, error) { return o.Node.Version(ctx) })
	return s
}

// loadConfig reads the configuration of the providers, or returns nil where
// there is none.
func (s *subject) loadConfig() *kubelet.Config {
	if s.Node.ProviderConfig == "" {
		return nil
	}
	config, _ := kubelet.Load(s.Node.Path(s.Node.ProviderConfig)) // The problems are in it.
	for i := range config.Providers {
		var env []string
		for _, variable := range config.Providers[i].Env {
			env = append(env, variable.Name+"="+variable.Value)
		}
		learn(env)
	}
	return config
}

// why says why there is no configuration.
func (s *subject) why() string {
	if s.Node.Process == nil {
		return "no kubelet runs here, and no --config is given"
	}
	return "the kubelet runs without --image-credential-provider-config"
}

// shown is what the kubelet calls a file that has another path for this process.
func (s *subject) shown(path string) string {
	base := s.Node.Path("/")
	if base == "/" {
		return path
	}
	if rest, found := strings.CutPrefix(path, strings.TrimSuffix(base, "/")+"/"); found {
		return "/" + rest
	}
	return path
}

// plugin is a provider's program.
type plugin struct {
	*kubelet.Provider

	// path is the kubelet's, and file this process's.
	path, file string

	// problem is why it is not run, and fault the finding that says so.
	problem, fault string
	evidence       []string

	// release is what it says of itself. Nil means that it is not of this
	// suite.
	release *suite.Release
}

// findPlugins looks the programs over, and asks those that may be run for their
// release.
func (s *subject) findPlugins() []*plugin {
	config := s.config()
	if config == nil || s.Node.BinDir == "" {
		return nil
	}
	plugins := make([]*plugin, len(config.Providers))
	for i := range config.Providers {
		plugins[i] = &plugin{Provider: &config.Providers[i]}
	}
	sideBySide(plugins, func(p *plugin) {
		defer p.broken()
		s.inspect(p)
	})
	return plugins
}

// maxPrograms bounds how many programs run at the same time.
const maxPrograms = 8

// sideBySide does something for each of a list, some at the same time.
func sideBySide[T any](list []T, do func(T)) {
	var group sync.WaitGroup
	free := make(chan struct{}, maxPrograms)
	for _, each := range list {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			do(each)
		})
	}
	group.Wait()
}

// broken keeps a fault of this process's in one program from the others.
func (p *plugin) broken() {
	if value := recover(); value != nil {
		p.fault, p.problem = "binary-broken", fmt.Sprintf("it could not be looked at (%T)", value)
	}
}

func (s *subject) inspect(p *plugin) {
	if p.Name == "" || strings.ContainsRune(p.Name, '/') || p.Name == "." || p.Name == ".." {
		p.fault, p.problem = "binary-missing", "the provider has no name that a file can have"
		return
	}
	p.path = filepath.Join(s.Node.BinDir, p.Name)
	p.file = s.Node.Path(p.path)
	info, err := os.Stat(p.file)
	switch {
	case err != nil:
		p.fault, p.problem = "binary-missing", "not there: "+cause(err)
		return
	case !info.Mode().IsRegular():
		p.fault, p.problem = "binary-not-executable", "not a file"
		return
	case !executable(info):
		p.fault, p.problem = "binary-not-executable", fmt.Sprintf("not executable: mode %#o", info.Mode().Perm())
		return
	}
	if fs, err := s.System.FileSystem(filepath.Dir(p.file)); err == nil && fs.NoExec {
		p.fault, p.problem = "binary-not-executable", "on a file system that is mounted noexec"
		return
	}
	if open := s.openTo(p.path); len(open) > 0 {
		p.fault, p.problem, p.evidence = "binary-writable", "others than root can replace it", open
		return
	}
	var result program.Result
	if p.release, result = suite.Ask(s.ctx, p.file, s.environ(p.Provider), s.Node.Path(s.Node.WorkDir)); p.release != nil {
		return
	}
	// A program of somebody else's need not know the flag. One that was not
	// even started is nobody's.
	if !result.Exited && !result.TimedOut && result.Err != nil {
		p.fault, p.problem = "binary-broken", "does not start: "+result.Err.Error()
	}
}

// environ is what a provider is run with.
func (s *subject) environ(p *kubelet.Provider) []string {
	env := s.Node.Env
	if env == nil {
		env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	}
	return kubelet.Runner{Environ: env}.Env(p)
}

// attempt is what a plugin of this suite made of --check.
type attempt struct {
	*plugin

	// image is what was asked for; empty is the node's identity by itself.
	image string

	report check.Report

	// refusal is what the plugin says of its settings, instead of a report.
	refusal string
	// err is why there is neither.
	err error

	took time.Duration
}

// attemptLimit is how long a plugin may take, which has a minute under the
// kubelet and ends itself before that.
const attemptLimit = time.Minute

// makeAttempts has the plugins of this suite try.
func (s *subject) makeAttempts() []*attempt {
	var attempts []*attempt
	for _, p := range s.plugins() {
		if p.release == nil {
			continue
		}
		attempts = append(attempts, &attempt{plugin: p, image: s.imageFor(p.Provider)})
	}
	sideBySide(attempts, func(a *attempt) {
		defer func() {
			if value := recover(); value != nil {
				a.err = fmt.Errorf("the answer could not be read (%T)", value)
			}
		}()
		s.try(a)
		if a.err != nil || a.refusal != "" || a.report.Outcome != check.NotMine {
			return
		}
		// Its identity is worth knowing all the same.
		alone := &attempt{plugin: a.plugin}
		if s.try(alone); alone.err != nil || alone.refusal != "" {
			return
		}
		if alone.report.Outcome == check.Obtained {
			alone.report.Outcome, alone.image = check.NotMine, a.image
		}
		*a = *alone
	})
	return attempts
}

// maxTold bounds how much of a kind is believed of a report.
const maxTold = 50

func (s *subject) try(a *attempt) {
	command := program.New(a.file, append([]string{"--check"}, a.Args...)...)
	command.Env, command.Dir, command.Limit = s.environ(a.Provider), s.Node.Path(s.Node.WorkDir), attemptLimit
	if a.image != "" {
		command.Stdin, _ = json.Marshal(map[string]string{ // Strings always encode.
			"kind": "CredentialProviderRequest", "apiVersion": a.APIVersion, "image": a.image,
		})
	}
	begin := time.Now()
	result := command.Report(s.ctx)
	a.took = time.Since(begin)
	switch err := json.Unmarshal(result.Stdout, &a.report); {
	case err == nil && a.report.Kind == check.Kind:
		a.report.Asked = a.report.Asked[:min(len(a.report.Asked), maxTold)]
		a.report.Files = a.report.Files[:min(len(a.report.Files), maxTold)]
	case result.Exited && result.ExitCode == 2:
		a.refusal = result.LastLine
	case result.Err != nil && result.LastLine != "":
		a.err = fmt.Errorf("%w: %s", result.Err, result.LastLine)
	case result.Err != nil:
		a.err = result.Err
	default:
		a.err = fmt.Errorf("no report of a check")
	}
}

// tokensOnly reports whether the kubelet runs a provider for pods with a service
// account alone, so that the node's identity does not matter.
func tokensOnly(p *kubelet.Provider) bool {
	return p.TokenAttributes != nil && p.TokenAttributes.RequireServiceAccount != nil && *p.TokenAttributes.RequireServiceAccount
}

// imageFor chooses an image that a provider is asked for, or none.
func (s *subject) imageFor(p *kubelet.Provider) string {
	if tokensOnly(p) {
		return ""
	}
	for _, image := range s.images() {
		if p.Match(image).Matched {
			return image
		}
	}
	return ""
}

// findImages returns the images that were given, and after them those of which
// the kubelet has a record: what is being pulled, and what was pulled with the
// node's own credentials, the newest first. Whether the node may have what pods
// pulled with theirs says nothing about it.
func (s *subject) findImages() []string {
	var images []string
	add := func(written string) {
		name, err := kubelet.ImageName(written)
		if err == nil && !slices.Contains(images, name) {
			images = append(images, name)
		}
	}
	for _, written := range s.Images {
		add(written)
	}
	listing := s.records()
	for _, written := range listing.Pulling {
		add(written)
	}
	slices.SortStableFunc(listing.Records, func(a, b pulls.Record) int { return b.LastUpdatedTime.Compare(a.LastUpdatedTime) })
	for _, record := range listing.Records {
		for _, written := range slices.Sorted(maps.Keys(record.Names)) {
			if record.Names[written].NodePodsAccessible {
				add(written)
			}
		}
	}
	return images
}

// records are the kubelet's of what it pulls and has pulled.
func (s *subject) records() pulls.Listing {
	listing, _ := pulls.In(s.Node.Path(s.Node.RootDir)).List() // Whoever cannot read them has none.
	return listing
}

// apiServer is the cluster's, or why it cannot be asked.
type apiServer struct {
	*cluster.Client
	err error
}

func (s *subject) openAPI() apiServer {
	if s.Cluster == nil {
		return apiServer{err: fmt.Errorf("no way to an API server is known")}
	}
	client, err := s.Cluster(s.ctx)
	return apiServer{client, err}
}
