package main

import (
	"fmt"
	"strings"

	"regcred/cmd/regcred/internal/replay"
	"regcred/cmd/regcred/internal/term"
	"regcred/shared/credential"
	"regcred/shared/explain"
	"regcred/shared/kubelet"
	"regcred/shared/kubelet/pulls"
	"regcred/shared/redact"
)

// text prints the report for people.
func (e explained) text(p *term.Printer) {
	pid, config, binDir := e.node.Shown()
	var rows [][]string
	if pid > 0 {
		rows = append(rows, []string{"kubelet", fmt.Sprintf("process %d", pid)})
	}
	if config != "" {
		rows = append(rows, []string{"configuration", config}, []string{"programs", binDir})
	}
	p.Table(rows)
	for _, note := range e.notes {
		p.Line("note: " + redact.Line(note, credential.Known()...))
	}
	for _, r := range e.images {
		p.Line("")
		r.text(p)
	}
}

// text prints what there is to tell of an image.
func (r *explainReport) text(p *term.Printer) {
	p.Line(p.Styled(term.Bold, redact.Line(r.image)) + onBehalf(r.subject.who))
	var rows [][]string
	if r.name != r.image {
		rows = append(rows, []string{"  the kubelet asks for", r.name})
	}
	p.Table(append(rows, []string{"  pull policy", r.policy + ": " + r.policyWhy}))

	p.Line("\n" + p.Styled(term.Bold, "On this node"))
	r.onNode(p)
	p.Line("\n" + p.Styled(term.Bold, "Providers"))
	for _, match := range r.matches {
		r.provider(p, match)
	}
	if len(r.matches) == 0 {
		p.Line("  none are configured")
	}
	p.Line("\n" + p.Styled(term.Bold, "Other credentials, tried before those of providers"))
	r.others(p)

	style := term.Green
	if !r.ok {
		style = term.Red
	}
	p.Line("\n" + p.Styled(style, redact.Line(r.conclusion, credential.Known()...)))
}

// onNode prints what is here.
func (r *explainReport) onNode(p *term.Printer) {
	switch {
	case r.runtimeErr != nil:
		p.Line("  whether the image is here is not known: " + redact.Line(r.runtimeErr.Error()))
		for _, record := range r.recorded {
			p.Line(fmt.Sprintf("  the kubelet has pulled %s under this name, with %s", redact.Line(record.ImageRef), record.Access(r.image)))
		}
	case r.here == nil:
		p.Line("  " + r.verdict.String())
		p.Line("  runtime: " + redact.Line(r.runtime))
	default:
		p.Line("  " + p.Styled(allowedStyle(r.verdict.Allowed), r.verdict.String()))
		p.Line("  runtime: " + redact.Line(r.runtime) + ", image ID " + redact.Line(r.here.ID))
		p.Line("  verification: " + verification(r.verification))
	}
	if r.here != nil && r.policy == kubelet.PullAlways {
		p.Line("  note: with the policy Always that does not matter: the registry is asked each time")
	}
}

func allowedStyle(allowed bool) term.Style {
	if allowed {
		return term.Green
	}
	return term.Yellow
}

func verification(policy pulls.Policy) string {
	if policy.Off {
		return "none: the kubelet keeps no records (it is older than 1.35, or its gate KubeletEnsureSecretPulledImages is off)"
	}
	return redact.Line(policy.Verification)
}

// provider prints what a provider would do.
func (r *explainReport) provider(p *term.Printer, match kubelet.Match) {
	name := redact.Line(match.Provider.Name)
	if !match.Matched {
		p.Line(p.Styled(term.Faint, "  "+name+" is not asked: "+redact.Line(match.Pattern+": "+match.Reason)))
		return
	}
	e := r.explained[match.Provider.Name]
	switch {
	case e.Skipped != "":
		p.Line("  " + p.Styled(term.Bold, name) + " is not run: " + e.Skipped)
		return
	case e.Foreign:
		p.Line("  " + p.Styled(term.Bold, name) + " is asked, for " + redact.Line(match.Pattern) + ": it is not of this suite and cannot explain itself, so it was not run (regcred get runs it)")
		return
	case e.Err != nil:
		p.Line("  " + p.Styled(term.Bold, name) + p.Styled(term.Red, " fails") + ": " + redact.Line(e.Err.Error(), credential.Known()...))
		return
	}
	p.Line("  " + p.Styled(term.Bold, name) + " is asked, for " + redact.Line(match.Pattern))
	for line := range strings.Lines(e.Explanation.Text(r.now)) {
		if !strings.HasPrefix(line, "image ") {
			p.Line("    " + redact.Line(strings.TrimRight(line, "\n"), credential.Known()...))
		}
	}
}

// others prints the logins that no provider has.
func (r *explainReport) others(p *term.Printer) {
	if r.secret != nil {
		p.Line("  " + p.Styled(term.Red, redact.Line(r.secret.Error(), credential.Known()...)))
		return
	}
	for i, login := range r.logins {
		p.Line(fmt.Sprintf("  %d  %s, %s: user %s", i+1, redact.Line(login.Origin.String()), redact.Line(login.Key), redact.Line(login.Username)))
	}
	if len(r.logins) == 0 {
		p.Line("  none")
	}
	for _, problem := range r.file.Problems {
		p.Line("  note: " + problem.String())
	}
}

// explainJSON is the report for programs.
type explainJSON struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// For is the pod or service account, or empty.
	For string `json:"for,omitempty"`

	KubeletPID int      `json:"kubeletPID,omitempty"`
	Config     string   `json:"config,omitempty"`
	BinDir     string   `json:"binDir,omitempty"`
	Notes      []string `json:"notes,omitempty"`

	Images []explainedImageJSON `json:"images"`
	OK     bool                 `json:"ok"`
}

// explainedImageJSON is what there is to tell of an image.
type explainedImageJSON struct {
	// Image is as it was asked for, Name what the kubelet asks its providers for.
	Image string `json:"image"`
	Name  string `json:"name"`

	PullPolicy    string `json:"pullPolicy"`
	PullPolicyWhy string `json:"pullPolicyWhy"`

	OnNode      onNodeJSON       `json:"onNode"`
	Providers   []explainedJSON  `json:"providers"`
	Credentials []otherLoginJSON `json:"credentials"`
	Secret      string           `json:"brokenPullSecret,omitempty"`

	OK      bool   `json:"ok"`
	Verdict string `json:"verdict"`
}

// onNodeJSON is whether the image is here, and who may use it.
type onNodeJSON struct {
	Runtime string `json:"runtime,omitempty"`
	// Present is null if it is not known, for the reason that Problem says.
	Present *bool  `json:"present"`
	Problem string `json:"problem,omitempty"`
	ImageID string `json:"imageID,omitempty"`

	Verification string `json:"verification"`
	Verifies     bool   `json:"verifies"`

	// Allowed is whether the pod may use what is here without a pull.
	Allowed  bool         `json:"allowed"`
	Reason   pulls.Reason `json:"reason,omitempty"`
	Sentence string       `json:"sentence,omitempty"`

	Record        *pulls.Record  `json:"record,omitempty"`
	RecordsOfName []pulls.Record `json:"recordsOfName,omitempty"`
}

// explainedJSON is what a provider would do.
type explainedJSON struct {
	Name    string `json:"name"`
	Matched bool   `json:"matched"`
	Pattern string `json:"pattern,omitempty"` // that matches, or comes nearest
	Reason  string `json:"reason,omitempty"`  // why none matches, or it is not run

	// Foreign means that it is not of this suite, and was not run.
	Foreign     bool                 `json:"foreign,omitempty"`
	Error       string               `json:"error,omitempty"`
	Explanation *explain.Explanation `json:"explanation,omitempty"`
}

type otherLoginJSON struct {
	From     string `json:"from"`
	Key      string `json:"key"`
	Username string `json:"username"`
}

func (e explained) json() explainJSON {
	report := explainJSON{APIVersion: reportVersion, Kind: "Explain", For: e.subject.who, Notes: []string{}, Images: []explainedImageJSON{}, OK: e.ok()}
	report.KubeletPID, report.Config, report.BinDir = e.node.Shown()
	for _, note := range e.notes {
		report.Notes = append(report.Notes, redact.Line(note, credential.Known()...))
	}
	for _, r := range e.images {
		report.Images = append(report.Images, r.json())
	}
	return report
}

func (r *explainReport) json() explainedImageJSON {
	report := explainedImageJSON{
		Image: r.image, Name: r.name,
		PullPolicy: r.policy, PullPolicyWhy: r.policyWhy,
		OnNode:    onNodeJSON{Runtime: r.runtime, Verification: r.verification.Verification, Verifies: !r.verification.Off, RecordsOfName: r.recorded},
		Providers: []explainedJSON{}, Credentials: []otherLoginJSON{},
		OK: r.ok, Verdict: redact.Line(r.conclusion, credential.Known()...),
	}
	if r.runtimeErr != nil {
		report.OnNode.Problem = redact.Line(r.runtimeErr.Error())
	} else {
		present := r.here != nil
		report.OnNode.Present = &present
		report.OnNode.Allowed, report.OnNode.Reason, report.OnNode.Sentence = r.verdict.Allowed, r.verdict.Reason, r.verdict.String()
		report.OnNode.Record = r.verdict.Record
		if present {
			report.OnNode.ImageID = r.here.ID
		}
	}
	for _, match := range r.matches {
		report.Providers = append(report.Providers, explainedOf(match, r.explained[match.Provider.Name]))
	}
	for _, login := range r.logins {
		report.Credentials = append(report.Credentials, otherLoginJSON{login.Origin.String(), login.Key, login.Username})
	}
	if r.secret != nil {
		report.Secret = redact.Line(r.secret.Error(), credential.Known()...)
	}
	return report
}

func explainedOf(match kubelet.Match, e replay.Explained) explainedJSON {
	out := explainedJSON{Name: match.Provider.Name, Matched: match.Matched, Pattern: match.Pattern, Reason: match.Reason, Foreign: e.Foreign, Explanation: e.Explanation}
	if e.Skipped != "" {
		out.Reason = e.Skipped
	}
	if e.Err != nil {
		out.Error = redact.Line(e.Err.Error(), credential.Known()...)
	}
	return out
}
