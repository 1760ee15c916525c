package replay

import (
	"fmt"
	"strings"

	"regcred/cmd/regcred/internal/term"
)

// Print prints the report for people.
func (r *Report) Print(p *term.Printer) {
	var about []string
	if r.Kubelet != "" {
		about = append(about, "kubelet "+r.Kubelet)
	}
	if r.Config != "" {
		about = append(about, "providers of "+line(r.Config)+" in "+line(r.BinDir))
	}
	if r.For != "" {
		about = append(about, "as "+line(r.For))
	}
	if len(about) > 0 {
		p.Line(p.Styled(term.Faint, strings.Join(about, ", ")))
	}
	for _, note := range r.Notes {
		p.Line(p.Styled(term.Yellow, "note: ") + line(note))
	}
	for i := range r.Images {
		if i > 0 || len(about) > 0 || len(r.Notes) > 0 {
			p.Line("")
		}
		r.Images[i].show(p)
	}
}

func (r *ImageReport) show(p *term.Printer) {
	title := r.Image
	if r.Name != r.Image {
		title += p.Styled(term.Faint, "  (the kubelet asks for "+r.Name+")")
	}
	p.Line(p.Styled(term.Bold, title))
	for _, provider := range r.Providers {
		provider.show(p)
	}
	for _, secret := range r.PullSecrets {
		switch {
		case secret.Error != "":
			item(p, bad(p), "pull secret "+line(secret.Name), secret.Error)
		case !secret.Used:
			item(p, " ", "pull secret "+line(secret.Name), "not of a type that the kubelet uses")
		default:
			item(p, good(p), "pull secret "+line(secret.Name), count(secret.Logins, "login"))
		}
	}
	if f := r.DockerFile; f != nil {
		if f.Path != "" {
			item(p, good(p), "docker file "+line(f.Path), count(f.Logins, "login"))
		}
		for _, problem := range f.Problems {
			detail(p, line(problem.String()))
		}
	}
	if len(r.Candidates) > 0 {
		p.Line("  tried in this order:")
	}
	for i, c := range r.Candidates {
		from := line(c.From)
		if c.ServiceAccount != "" {
			from += " (for service account " + line(c.ServiceAccount) + ")"
		}
		text := fmt.Sprintf("%d. %s: %s", i+1, from, c.Login)
		if c.Chance {
			text += "; its place among those of the same key is left to chance"
		}
		p.Line("    " + text)
		printEndpoints(p, c.Registry)
	}
	printEndpoints(p, r.Registry)
	style := term.Green
	if !r.OK() {
		style = term.Red
	}
	p.Line("  " + p.Styled(style, string(r.Verdict)) + ": " + r.Message)
}

func (r *ProviderReport) show(p *term.Printer) {
	switch {
	case !r.Matched:
		reason := line(r.Reason)
		if r.Pattern != "" {
			reason = fmt.Sprintf("%q: %s", line(r.Pattern), reason)
		}
		item(p, " ", line(r.Name), "not for it: "+reason)
		return
	case r.Skipped != "":
		item(p, " ", line(r.Name), "not run for this pod: "+line(r.Skipped))
		return
	case r.Run == nil:
		item(p, " ", line(r.Name), fmt.Sprintf("is for it (%q)", line(r.Pattern)))
		return
	}
	run := r.Run
	mark, text := good(p), fmt.Sprintf("is for it (%q), answered in %s", line(r.Pattern), milliseconds(run.Milliseconds))
	if run.Error != "" {
		mark, text = bad(p), fmt.Sprintf("is for it (%q), failed after %s", line(r.Pattern), milliseconds(run.Milliseconds))
	}
	if len(run.Command) == 0 {
		text = fmt.Sprintf("is for it (%q), and is not run", line(r.Pattern))
	}
	item(p, mark, line(r.Name), text)
	if len(run.Command) > 0 {
		detail(p, p.Styled(term.Faint, "ran "+line(strings.Join(run.Command, " "))))
	}
	if run.ServiceAccount != "" {
		detail(p, "with a token of service account "+run.ServiceAccount)
	}
	if run.Error != "" {
		detail(p, run.Error)
	} else if run.Stderr != "" {
		detail(p, p.Styled(term.Faint, "stderr: "+run.Stderr))
	}
	if response := run.Response; response != nil {
		for _, login := range response.Auth {
			detail(p, login.String())
		}
		if len(response.Auth) == 0 {
			detail(p, "no credential")
		}
		life := "for the configuration's defaultCacheDuration"
		if response.CacheDuration != nil {
			life = "for " + *response.CacheDuration
		}
		detail(p, fmt.Sprintf("the kubelet keeps it %s, by %s", life, response.CacheKeyType))
	}
	for _, problem := range run.Problems {
		if text := line(problem.String()); !strings.Contains(run.Error, problem.Message) {
			detail(p, problem.Level.String()+": "+text)
		}
	}
}

// String shows a login.
func (l Login) String() string {
	password := l.Password
	if l.Length == 0 {
		password = "empty"
	} else if password == "[redacted]" {
		password = fmt.Sprintf("%s of %d bytes", password, l.Length)
	}
	return fmt.Sprintf("%s: user %q, password %s", l.Key, l.Username, password)
}

func printEndpoints(p *term.Printer, endpoints []EndpointReport) {
	for _, endpoint := range endpoints {
		name := endpoint.Endpoint
		if endpoint.Mirror {
			name += " (a mirror)"
		}
		p.Line("       " + name)
		for _, stage := range endpoint.Stages {
			mark := good(p)
			if !stage.OK {
				mark = bad(p)
			}
			p.Line(fmt.Sprintf("         %s %-9s  %s", mark, stage.Name, stage.Detail))
		}
	}
}

func item(p *term.Printer, mark, name, text string) { p.Line("  " + mark + " " + name + ": " + text) }

func detail(p *term.Printer, text string) { p.Line("      " + text) }

func good(p *term.Printer) string { return p.Styled(term.Green, "+") }
func bad(p *term.Printer) string  { return p.Styled(term.Red, "x") }
