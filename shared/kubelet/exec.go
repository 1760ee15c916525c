package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider"

	"regcred/shared/credential"
	"regcred/shared/program"
)

// Timeout is how long the kubelet lets a provider run. It cannot be told to
// wait for more or less.
const Timeout = time.Minute

// Runner runs providers as the kubelet does.
type Runner struct {
	// BinDir is --image-credential-provider-bin-dir.
	BinDir string

	// Environ is the kubelet's environment, as name=value. A provider's own
	// variables are added to it. Nil is an empty one.
	Environ []string

	// Dir is the kubelet's working directory. Empty is this process's.
	Dir string

	// Timeout is how long a provider may run. Zero is the kubelet's minute.
	Timeout time.Duration
}

// Outcome is what became of asking a provider. It holds secrets in
// Response alone.
type Outcome struct {
	Provider *Provider

	// Skipped is why the kubelet does not run the provider for this pod. It
	// calls that no error. Empty means that the provider was run, or was to be.
	Skipped string

	// Argv is the program and its arguments.
	Argv []string

	// ServiceAccount is whose token it was given, or nil.
	ServiceAccount *ServiceAccount

	// Duration is how long it ran.
	Duration time.Duration

	// Exited says that it ended by itself, and with which ExitCode: -1 is by a
	// signal.
	Exited   bool
	ExitCode int

	// Stderr is what it printed there, and LastLine the last line of that.
	// Either is one line of at most 2 KiB without secrets.
	Stderr, LastLine string

	// Response is the answer, even where the kubelet refuses it. Nil means that
	// there is none that could be read.
	Response *Response

	// Problems are what is wrong with the answer.
	Problems Problems

	// Err is why the kubelet got nothing from the provider, in one line without
	// secrets. Nil means that it takes the answer, or did not run the provider.
	Err error
}

// Ask asks a provider for an image, which is what ImageName returns, on behalf
// of a pod: it does not run a provider that the pod's service account does not
// suit, gets the token that the provider wants, and refuses what the kubelet
// refuses. Whether the provider is for the image is not asked: see Match.
func (r Runner) Ask(ctx context.Context, p *Provider, image string, pod Pod) Outcome {
	request, token, o := prepare(ctx, p, image, pod)
	if request == nil {
		return o
	}
	o.take(r.run(ctx, p, request))
	if o.Err == nil && !token.Empty() && string(p.TokenAttributes.CacheType) != cacheTypes[1] {
		o.refuseEcho(token)
	}
	return o
}

// Output runs a provider as Ask does, and returns what it prints as it is. It is
// for one that was told by an argument to print something else than an answer.
// Nothing is returned if Outcome says that it was not run, or failed.
func (r Runner) Output(ctx context.Context, p *Provider, image string, pod Pod) ([]byte, Outcome) {
	request, _, o := prepare(ctx, p, image, pod)
	if request == nil {
		return nil, o
	}
	result, ran := r.exec(ctx, p, request)
	result.Redact()
	ran.Stderr, ran.LastLine, ran.Err = result.Stderr, result.LastLine, said(result)
	o.take(ran)
	if o.Err != nil {
		return nil, o
	}
	return result.Stdout, o
}

// prepare makes the request of a pod for a provider. There is none if the
// Outcome says why.
func prepare(ctx context.Context, p *Provider, image string, pod Pod) (*credentialprovider.CredentialProviderRequest, credential.Secret, Outcome) {
	o := Outcome{Provider: p, ExitCode: -1}
	annotations, skip := p.Annotations(pod.ServiceAccount)
	if skip != "" {
		o.Skipped = skip
		return nil, credential.Secret{}, o
	}
	request := &credentialprovider.CredentialProviderRequest{Image: image}
	if p.Audience() == "" || pod.ServiceAccount == nil {
		return request, credential.Secret{}, o
	}
	o.ServiceAccount = pod.ServiceAccount
	if pod.Token == nil {
		o.Err = errors.New("no service account token: nobody to ask for one")
		return nil, credential.Secret{}, o
	}
	token, err := pod.Token(ctx, p.Audience())
	if err != nil {
		o.Err = fmt.Errorf("get a service account token for audience %q: %w", p.Audience(), err)
		return nil, credential.Secret{}, o
	}
	request.ServiceAccountToken, request.ServiceAccountAnnotations = token.Reveal(), annotations
	return request, token, o
}

// take takes over what came of a run.
func (o *Outcome) take(run Outcome) {
	run.Provider, run.ServiceAccount = o.Provider, o.ServiceAccount
	*o = run
}

// refuseEcho refuses an answer with the token as a password, which the kubelet
// would keep for the other pods of the service account.
func (o *Outcome) refuseEcho(token credential.Secret) {
	for _, auth := range o.Response.Auth {
		if auth.Password.Reveal() == token.Reveal() {
			o.Problems = append(o.Problems, problemf(Error, "response-token", authField(auth.Key), "write cacheType: Token in the configuration",
				"the service account's token as password, with cacheType %s", o.Provider.TokenAttributes.CacheType))
			o.Err = o.Problems.Err()
			return
		}
	}
}

// run executes a provider's program, and reads its answer.
func (r Runner) run(ctx context.Context, p *Provider, request *credentialprovider.CredentialProviderRequest) Outcome {
	result, o := r.exec(ctx, p, request)
	if len(o.Argv) == 0 {
		return o
	}
	// What it printed is read even if the kubelet does not, to know the secrets
	// that may be on stderr too.
	var problems Problems
	o.Response, problems = DecodeResponse(p.APIVersion, result.Stdout)
	result.Redact()
	o.Stderr, o.LastLine = result.Stderr, result.LastLine
	if o.Err = said(result); o.Err != nil {
		o.Response = nil
		return o
	}
	if result.Held {
		problems = append(problems, problemf(Warning, "process-left", "", "let it wait for what it starts, or close their stdout and stderr",
			"a process left behind with stdout or stderr open: the kubelet waits until that ends"))
	}
	if o.Response != nil {
		problems = append(problems, o.Response.lint(p, request.Image)...)
	}
	o.Problems, o.Err = problems, problems.Err()
	return o
}

// said is why a program failed, with the last that it printed. Nil means that it
// did not.
func said(result program.Result) error {
	if result.Err != nil && result.LastLine != "" {
		return fmt.Errorf("%w, which printed: %s", result.Err, result.LastLine)
	}
	return result.Err
}

// exec executes a provider's program. An Outcome without Argv is of a request
// that cannot be written.
func (r Runner) exec(ctx context.Context, p *Provider, request *credentialprovider.CredentialProviderRequest) (program.Result, Outcome) {
	o := Outcome{Provider: p, ExitCode: -1}
	stdin, err := encodeRequest(p.APIVersion, request)
	if err != nil {
		o.Err = err
		return program.Result{Err: err}, o
	}
	o.Argv = append([]string{filepath.Join(r.BinDir, p.Name)}, p.Args...)
	command := program.New(o.Argv[0], o.Argv[1:]...)
	command.Env = r.Env(p)
	command.Dir = r.Dir
	command.Stdin = stdin
	if command.Limit = r.Timeout; command.Limit == 0 {
		command.Limit = Timeout
	}
	began := time.Now()
	result := command.Report(ctx)
	o.Duration = time.Since(began)
	o.Exited, o.ExitCode = result.Exited, result.ExitCode
	return result, o
}

// Env is the environment of a provider: the kubelet's and then its own, where
// the last of a name counts.
func (r Runner) Env(p *Provider) []string {
	env := slices.Clone(r.Environ)
	for _, variable := range p.Env {
		env = append(env, variable.Name+"="+variable.Value)
	}
	if env == nil {
		env = []string{}
	}
	return env
}

// encodeRequest writes a request as the kubelet does. Versions before v1 have
// no service account in it.
func encodeRequest(apiVersion string, request *credentialprovider.CredentialProviderRequest) ([]byte, error) {
	version, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || !slices.Contains(pluginVersions, apiVersion) {
		return nil, fmt.Errorf("encode the request: apiVersion %.80q", apiVersion)
	}
	info, _ := runtime.SerializerInfoForMediaType(codecs().SupportedMediaTypes(), runtime.ContentTypeJSON)
	text, err := runtime.Encode(codecs().EncoderForVersion(info.Serializer, version), request)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	return text, nil
}

// CheckBinaries says which providers' programs the kubelet would not find in a
// directory when it starts. It starts with none of them missing.
func (c *Config) CheckBinaries(binDir string) Problems {
	var problems Problems
	if info, err := os.Stat(binDir); err != nil {
		return Problems{problemf(Error, "bin-dir-missing", "", "correct --image-credential-provider-bin-dir", "directory of programs %.200q: %v", binDir, cause(err))}
	} else if !info.IsDir() {
		problems = append(problems, problemf(Error, "bin-dir-missing", "", "correct --image-credential-provider-bin-dir", "%.200q is no directory", binDir))
	}
	for i := range c.Providers {
		p := &c.Providers[i]
		path := filepath.Join(binDir, p.Name)
		if _, err := exec.LookPath(path); err != nil {
			problem := problemf(Error, "binary-missing", p.field("name"), "put the program there, executable, before the kubelet starts", "program %.200q: %v", path, cause(err))
			problem.File = p.File
			problems = append(problems, problem)
		}
	}
	return problems
}

// cause is what the system said, without the call and the name.
func cause(err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return err
}
