package replay

import (
	"fmt"
	"strings"
	"time"

	"regcred/cmd/regcred/internal/registry"
	"regcred/cmd/regcred/internal/term"
	"regcred/shared/credential"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
)

// What a Report is, as JSON. A later version adds fields and changes none.
const (
	APIVersion = "regcred/v1"
	Kind       = "Get"
)

// Report is a replay for people and programs. It holds no secret, unless it was
// made to.
type Report struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// Kubelet is the process, empty where none runs. Config and BinDir are its
	// providers'.
	Kubelet string `json:"kubelet,omitempty"`
	Config  string `json:"config,omitempty"`
	BinDir  string `json:"binDir,omitempty"`

	// For is on whose behalf: a pod or a service account. Empty is a pod
	// without either.
	For string `json:"for,omitempty"`

	// Notes are what is worth knowing. Each is a sentence.
	Notes []string `json:"notes"`

	Images []ImageReport `json:"images"`
}

// Verdict is what becomes of an image.
type Verdict string

// The verdicts.
const (
	// WithCredential means that there are credentials to try, and, if the
	// registry was asked, that it takes one.
	WithCredential Verdict = "credential"
	// Anonymous means that it is pulled without one. If the registry was asked,
	// it lets anybody.
	Anonymous Verdict = "anonymous"
	// Failed means that something that should have given a credential did not.
	Failed Verdict = "failed"
	// Refused means that the registry takes none of what there is.
	Refused Verdict = "refused"
	// Unreachable means that the registry cannot be asked.
	Unreachable Verdict = "unreachable"
)

// ImageReport is what is known of an image.
type ImageReport struct {
	// Image is as it was asked for, and Name what the kubelet asks its providers
	// for.
	Image string `json:"image"`
	Name  string `json:"name"`

	Verdict Verdict `json:"verdict"`

	// Message says the same in a sentence, with the cause of a failure.
	Message string `json:"message"`

	Providers   []ProviderReport  `json:"providers"`
	PullSecrets []SecretReport    `json:"pullSecrets,omitempty"`
	DockerFile  *FileReport       `json:"dockerFile,omitempty"`
	Candidates  []CandidateReport `json:"candidates"`

	// Registry is what the registry says to a pull without a credential, where
	// it was asked and there is none.
	Registry []EndpointReport `json:"registry,omitempty"`
}

// ProviderReport is a provider: whether it was asked, and what came of it.
type ProviderReport struct {
	Name    string `json:"name"`
	File    string `json:"file,omitempty"`
	Matched bool   `json:"matched"`

	// Pattern is the one that matches, or that comes nearest, and Reason why it
	// does not match.
	Pattern string `json:"pattern,omitempty"`
	Reason  string `json:"reason,omitempty"`

	// Skipped is why the kubelet does not run it for this pod.
	Skipped string `json:"skipped,omitempty"`

	Run *RunReport `json:"run,omitempty"`
}

// RunReport is a run of a provider's program.
type RunReport struct {
	Command        []string `json:"command"`
	ServiceAccount string   `json:"serviceAccount,omitempty"`
	Milliseconds   int64    `json:"milliseconds"`
	ExitCode       int      `json:"exitCode"`
	Stderr         string   `json:"stderr,omitempty"`

	// Error is why the kubelet got nothing from it.
	Error string `json:"error,omitempty"`

	Response *ResponseReport  `json:"response,omitempty"`
	Problems kubelet.Problems `json:"problems,omitempty"`
}

// ResponseReport is an answer.
type ResponseReport struct {
	CacheKeyType  string  `json:"cacheKeyType"`
	CacheDuration *string `json:"cacheDuration"`
	Auth          []Login `json:"auth"`
}

// Login is a username and a password that is not shown.
type Login struct {
	Key      string `json:"key"`
	Username string `json:"username"`
	Password string `json:"password"`

	// Length is the password's, in bytes.
	Length int `json:"passwordLength"`
}

// SecretReport is a pull secret.
type SecretReport struct {
	Name   string `json:"name"`
	Logins int    `json:"logins"`
	Used   bool   `json:"used"`
	Error  string `json:"error,omitempty"`
}

// FileReport is the node's docker configuration.
type FileReport struct {
	Path     string           `json:"path,omitempty"`
	Logins   int              `json:"logins"`
	Problems kubelet.Problems `json:"problems,omitempty"`
}

// CandidateReport is a credential that is tried.
type CandidateReport struct {
	// From is where it comes from: "provider NAME".
	From           string `json:"from"`
	ServiceAccount string `json:"serviceAccount,omitempty"`
	Login

	// Chance says that the kubelet leaves the order of this and its neighbours
	// to chance.
	Chance bool `json:"chance,omitempty"`

	// Registry is what the registry says to it, where it was asked.
	Registry []EndpointReport `json:"registry,omitempty"`
}

// EndpointReport is what a server says to a login.
type EndpointReport struct {
	Endpoint string        `json:"endpoint"`
	Mirror   bool          `json:"mirror,omitempty"`
	OK       bool          `json:"ok"`
	Digest   string        `json:"digest,omitempty"`
	Stages   []StageReport `json:"stages"`
}

// StageReport is a part of a pull.
type StageReport struct {
	Name         string `json:"name"`
	OK           bool   `json:"ok"`
	Detail       string `json:"detail"`
	Milliseconds int64  `json:"milliseconds"`
}

// Pull is what a registry says to each candidate, in their order, or, where
// there is none, to a pull without a credential.
type Pull struct {
	Results [][]registry.Result
}

// Taken is the first candidate that the registry takes, or -1.
func (p *Pull) Taken() int {
	for i, results := range p.Results {
		if len(results) > 0 && results[len(results)-1].OK {
			return i
		}
	}
	return -1
}

// Report makes the report of a replay. Pull may be nil. The passwords are in it
// if reveal says so.
func (r *Replay) Report(secrets []kubelet.Secret, pull *Pull, reveal bool) ImageReport {
	report := ImageReport{Image: r.Image, Name: r.Name, Providers: []ProviderReport{}, Candidates: []CandidateReport{}}
	outcomes := r.Outcomes
	for _, match := range r.Matches {
		p := ProviderReport{Name: match.Provider.Name, File: match.Provider.File, Matched: match.Matched, Pattern: match.Pattern, Reason: match.Reason}
		if match.Matched && len(outcomes) > 0 {
			p.Skipped, p.Run = outcomes[0].Skipped, runReport(outcomes[0], reveal)
			outcomes = outcomes[1:]
		}
		report.Providers = append(report.Providers, p)
	}
	for _, secret := range secrets {
		auths, used, err := secret.Auths()
		s := SecretReport{Name: secret.String(), Logins: len(auths), Used: used}
		if err != nil {
			s.Error = line(err.Error())
		}
		report.PullSecrets = append(report.PullSecrets, s)
	}
	if r.File.Path != "" || len(r.File.Problems) > 0 {
		report.DockerFile = &FileReport{Path: r.File.Path, Logins: len(r.File.Auths), Problems: r.File.Problems}
	}
	for i, candidate := range r.Candidates {
		c := CandidateReport{
			From: candidate.Origin.String(), ServiceAccount: candidate.Origin.ServiceAccount,
			Login: login(candidate.Auth, reveal), Chance: candidate.Chance,
		}
		if pull != nil && i < len(pull.Results) {
			c.Registry = endpoints(pull.Results[i])
		}
		report.Candidates = append(report.Candidates, c)
	}
	if pull != nil && len(r.Candidates) == 0 && len(pull.Results) > 0 {
		report.Registry = endpoints(pull.Results[0])
	}
	report.Verdict, report.Message = r.verdict(pull)
	return report
}

// verdict says what becomes of the image.
func (r *Replay) verdict(pull *Pull) (Verdict, string) {
	if r.Secret != nil {
		return Failed, line(fmt.Sprintf("the kubelet pulls nothing for this pod, and asks no provider: %s", r.Secret))
	}
	if failures := r.Failures(); len(failures) > 0 {
		rest := "the kubelet pulls without a credential"
		if n := len(r.Candidates); n > 0 {
			rest = "the kubelet tries " + count(n, "credential") + " of others"
		}
		return Failed, line(fmt.Sprintf("provider %s gives nothing, and %s: %s", failures[0].Provider.Name, rest, failures[0].Err))
	}
	switch n := len(r.Candidates); {
	case pull != nil && pull.Taken() < 0:
		verdict, text := refusal(n, pull)
		return verdict, line(text)
	case n == 0:
		text := "pulled without a credential: "
		if pull != nil {
			text = "pulled without a credential, which the registry allows: "
		}
		return Anonymous, text + r.whyNone()
	case pull != nil:
		taken := pull.Taken()
		text := "the registry takes the credential of " + r.Candidates[taken].Origin.String()
		if taken > 0 {
			text += fmt.Sprintf(", after it has refused %d", taken)
		}
		return WithCredential, text
	default:
		return WithCredential, "pulled with " + count(n, "credential") + " of " + r.Candidates[0].Origin.String() + more(n)
	}
}

func more(n int) string {
	if n > 1 {
		return " and others, in turn"
	}
	return ""
}

// refusal says why a registry takes none of n candidates, by what it says to
// the last one.
func refusal(n int, pull *Pull) (Verdict, string) {
	text := "the registry takes none of " + count(n, "credential")
	switch n {
	case 0:
		text = "the registry refuses a pull without a credential, and there is none"
	case 1:
		text = "the registry refuses it"
	}
	results := pull.Results[len(pull.Results)-1]
	stage := results[len(results)-1].Failed()
	if stage.Name == registry.DNS || stage.Name == registry.Connect {
		return Unreachable, "the registry cannot be asked: " + stage.Detail
	}
	return Refused, text + ": " + stage.Name + ": " + stage.Detail
}

// whyNone says why there is no credential.
func (r *Replay) whyNone() string {
	switch asked := len(r.Outcomes); {
	case len(r.Matches) == 0:
		return "the kubelet has no provider"
	case asked == 0:
		return "no provider is for this image"
	}
	for _, outcome := range r.Outcomes {
		if outcome.Skipped != "" {
			return fmt.Sprintf("provider %s is not run for this pod: %s", outcome.Provider.Name, outcome.Skipped)
		}
	}
	names := make([]string, 0, len(r.Outcomes))
	for _, outcome := range r.Outcomes {
		names = append(names, outcome.Provider.Name)
	}
	return "no credential for it in the answer of " + strings.Join(names, ", ")
}

func runReport(o kubelet.Outcome, reveal bool) *RunReport {
	if o.Skipped != "" {
		return nil
	}
	run := &RunReport{
		Command: o.Argv, Milliseconds: o.Duration.Milliseconds(), ExitCode: o.ExitCode,
		Stderr: o.Stderr, Problems: o.Problems,
	}
	if run.Command == nil {
		run.Command = []string{}
	}
	if o.ServiceAccount != nil {
		run.ServiceAccount = o.ServiceAccount.String()
	}
	if o.Err != nil {
		run.Error = line(o.Err.Error())
	}
	if o.Response != nil {
		run.Response = &ResponseReport{CacheKeyType: o.Response.CacheKeyType, Auth: []Login{}}
		if d := o.Response.CacheDuration; d != nil {
			text := d.String()
			run.Response.CacheDuration = &text
		}
		for _, auth := range o.Response.Auth {
			run.Response.Auth = append(run.Response.Auth, login(auth, reveal))
		}
	}
	return run
}

func login(auth kubelet.Auth, reveal bool) Login {
	l := Login{Key: line(auth.Key), Username: line(auth.Username), Password: auth.Password.String(), Length: len(auth.Password.Reveal())}
	if auth.Password.Empty() {
		l.Password = ""
	}
	if reveal {
		l.Key, l.Username, l.Password = auth.Key, auth.Username, auth.Password.Reveal()
	}
	return l
}

func endpoints(results []registry.Result) []EndpointReport {
	reports := make([]EndpointReport, 0, len(results))
	for _, result := range results {
		e := EndpointReport{Endpoint: result.Endpoint.String(), Mirror: result.Endpoint.Mirror, OK: result.OK, Digest: result.Digest, Stages: []StageReport{}}
		for _, stage := range result.Stages {
			e.Stages = append(e.Stages, StageReport{stage.Name, stage.OK, stage.Detail, stage.Duration.Milliseconds()})
		}
		reports = append(reports, e)
	}
	return reports
}

// OK reports whether everything is as it should be.
func (r *Report) OK() bool {
	for _, image := range r.Images {
		if !image.OK() {
			return false
		}
	}
	return true
}

// OK reports whether the image can be pulled as far as this is known.
func (r *ImageReport) OK() bool { return r.Verdict == WithCredential || r.Verdict == Anonymous }

// JSON is the report for programs.
func (r *Report) JSON() ([]byte, error) {
	return term.JSON(r)
}

// line makes a text from elsewhere fit to print.
func line(text string) string { return redact.Line(text, credential.Known()...) }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func milliseconds(n int64) string { return (time.Duration(n) * time.Millisecond).String() }
