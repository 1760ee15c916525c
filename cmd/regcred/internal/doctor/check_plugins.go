package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regcred/shared/check"
)

// checkSettings tells which plugins refuse what they are told.
func checkSettings(s *subject, r *recorder) {
	s.skipPrograms(r)
	for _, a := range s.attempts() {
		switch {
		case a.refusal != "":
			r.find("settings-invalid", a.Name, "the plugin refuses its settings: no image of its patterns gets a credential", "correct args and env of the provider in "+s.shown(a.File)+", or the plugin's own file, and restart the kubelet", a.refusal)
		case a.err != nil:
			r.skip(a.Name, "the plugin could not be asked: "+a.err.Error())
		default:
			r.ok(a.Name, "the plugin accepts its settings")
		}
	}
}

// skipPrograms tells why there is nothing to ask, or which programs are not
// asked.
func (s *subject) skipPrograms(r *recorder) {
	if len(s.plugins()) == 0 {
		r.skip("", s.noPlugins())
	}
	for _, p := range s.plugins() {
		if p.release == nil {
			r.skip(p.Name, notAsked(p))
		}
	}
}

func (s *subject) noPlugins() string {
	if s.config() == nil {
		return s.why()
	}
	return "there is no program to ask"
}

// notAsked says why a program is not asked with --check.
func notAsked(p *plugin) string {
	if p.fault != "" {
		return "not run: " + p.problem
	}
	return "not a program of this suite"
}

// slowCloud is how long a cloud may take without a word about it.
const slowCloud = 10 * time.Second

// checkIdentity tells what the plugins could obtain.
func checkIdentity(s *subject, r *recorder) {
	s.skipPrograms(r)
	for _, a := range s.attempts() {
		switch {
		case a.refusal != "":
			r.skip(a.Name, "the plugin refuses its settings")
		case a.err != nil:
			r.skip(a.Name, "the plugin could not be asked: "+a.err.Error())
		case tokensOnly(a.Provider):
			r.skip(a.Name, "it is run for pods with a service account alone: regcred get IMAGE --service-account NAMESPACE/NAME tries that")
		default:
			tellOutcome(a, r)
		}
		if a.took > s.Slow {
			r.find("cloud-slow", a.Name, fmt.Sprintf("it took %s to ask the cloud", a.took.Round(time.Second)), "see who was asked, and how often", whoWasAsked(a)...)
		}
	}
}

func tellOutcome(a *attempt, r *recorder) {
	report := a.report
	what := "the node's identity"
	if a.image != "" {
		what = "a credential for " + a.image
	}
	switch report.Outcome {
	case check.Obtained, check.Anonymous:
		message := "obtained " + what
		if report.Caller != "" {
			message += " as " + report.Caller
		}
		if report.Outcome == check.Anonymous {
			message = "the answer for " + a.image + " is to pull without a credential"
		}
		r.ok(a.Name, message, whoWasAsked(a)...)
	case check.NotMine:
		r.find("image-not-served", a.Name, "the plugin is asked for "+a.image+", which is not of its registries: it answers nothing", "remove the pattern from matchImages, or name the registry that stands behind it with --alias", "obtained the node's identity")
	case check.NoIdentity:
		r.skip(a.Name, "there is no identity of the node to try: regcred doctor --image IMAGE tries an image")
	case check.Failed:
		tellFailure(a, r, what)
	default:
		r.skip(a.Name, "the plugin tells of an outcome that is not known here: "+string(report.Outcome))
	}
}

func tellFailure(a *attempt, r *recorder, what string) {
	failure := a.report.Failure
	if failure == nil {
		failure = &check.Failure{Problem: "no reason is told"}
	}
	evidence := whoWasAsked(a)
	if failure.Evidence != "" {
		evidence = append([]string{failure.Evidence}, evidence...)
	}
	name := "identity-missing"
	switch {
	case slices.ContainsFunc(a.report.Asked, func(asked check.Asked) bool { return asked.Metadata && asked.Status == 0 }):
		name = "metadata-unreachable"
	case a.image != "" && !slices.ContainsFunc(a.report.Asked, func(asked check.Asked) bool { return asked.Metadata && asked.Status >= 300 }):
		name = "credential-refused"
	}
	r.find(name, a.Name, "no "+strings.TrimPrefix(strings.TrimPrefix(what, "the "), "a ")+": "+failure.Problem, failure.Advice, evidence...)
}

// whoWasAsked tells of each host in a line.
func whoWasAsked(a *attempt) []string {
	lines := make([]string, 0, len(a.report.Asked))
	for _, asked := range a.report.Asked {
		line := fmt.Sprintf("asked %s: ", asked.Host)
		if asked.Status != 0 {
			line += fmt.Sprintf("status %d", asked.Status)
		} else {
			line += asked.Error
		}
		line += fmt.Sprintf(", %.2f s", asked.Took)
		if asked.Times > 1 {
			line += fmt.Sprintf(", %d times", asked.Times)
		}
		lines = append(lines, line)
	}
	return lines
}
