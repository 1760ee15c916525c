package doctor

import (
	"fmt"
	"strings"
	"time"

	"regcred/shared/credential"
	"regcred/shared/redact"
)

// Level says what a result means.
type Level string

// Levels, from what needs nobody to what stops pulls.
const (
	OK      Level = "ok"
	Skipped Level = "skipped"
	Info    Level = "info"
	Warning Level = "warning"
	Error   Level = "error"
)

// rank orders levels.
func (l Level) rank() int {
	switch l {
	case Error:
		return 2
	case Warning:
		return 1
	default:
		return 0
	}
}

// What a Report is, as JSON. A later version adds fields and changes none.
const (
	APIVersion = "regcred/v1"
	Kind       = "DoctorReport"
)

// Report is what was found. It holds no secret.
type Report struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// Version is the tool's release.
	Version string `json:"version"`

	// Node is the node's name, and Kubelet what runs there, in a phrase. It is
	// empty if none does.
	Node    string `json:"node,omitempty"`
	Kubelet string `json:"kubelet,omitempty"`

	Time time.Time `json:"time"`

	// Level is that of the worst result: ok, warning or error.
	Level Level `json:"level"`

	Results []Result `json:"results"`

	// Timings are how many seconds each check took.
	Timings map[string]float64 `json:"timings"`
}

// Result is one thing that was found, or that all is well.
type Result struct {
	// Code and Name are the finding's, or the check's own where nothing is
	// wrong: RC0400.
	Code  string `json:"code"`
	Name  string `json:"name"`
	Check string `json:"check"`
	Level Level  `json:"level"`

	// Subject is the provider or the file that it is about.
	Subject string `json:"subject,omitempty"`

	// Message is a sentence without its full stop.
	Message string `json:"message"`

	// Evidence is what was seen.
	Evidence []string `json:"evidence,omitempty"`

	// Fix is what to do about it: commands, or a sentence.
	Fix string `json:"fix,omitempty"`
}

// ExitCode is 0 if all is well, 1 for warnings and 2 for errors.
func (r Report) ExitCode() int { return r.Level.rank() }

// Count is how many results there are of a level.
func (r Report) Count(level Level) int {
	n := 0
	for _, result := range r.Results {
		if result.Level == level {
			n++
		}
	}
	return n
}

// finish sets the level of the whole.
func (r *Report) finish() {
	r.Level = OK
	for _, result := range r.Results {
		if result.Level.rank() > r.Level.rank() {
			r.Level = result.Level
		}
	}
}

// JSON is the report as JSON, with a line feed at its end.
func (r Report) JSON() []byte {
	return encode(r)
}

// Summary counts in a line what was found.
func (r Report) Summary() string {
	var parts []string
	for _, level := range []struct {
		of        Level
		one, many string
	}{{Error, "error", "errors"}, {Warning, "warning", "warnings"}, {Info, "note", "notes"}, {OK, "ok", "ok"}, {Skipped, "skipped", "skipped"}} {
		n := r.Count(level.of)
		switch n {
		case 0:
		case 1:
			parts = append(parts, "1 "+level.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, level.many))
		}
	}
	return strings.Join(parts, ", ")
}

// counted is so many of something: "1 file", "2 files".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// clean makes text fit to print: one line without secrets.
func clean(text string) string { return redact.Line(text, credential.Known()...) }

// recorder takes down the results of a check.
type recorder struct {
	check   Check
	results []Result
	only    func(Result) bool // nil is all

	// worst is the highest rank so far, and dropped how many results are too
	// many.
	worst, dropped int
}

// maxResults bounds the results of a check that are no worse than those before:
// a configuration may have a thousand providers.
const maxResults = 200

// find takes down a finding of the check, by its name. The fix may have several
// lines.
func (r *recorder) find(name, subject, message, fix string, evidence ...string) {
	f, found := r.check.find(name)
	if !found {
		panic("no such finding: " + name)
	}
	r.add(Result{Code: f.Code, Name: f.Name, Level: f.Level, Subject: subject, Message: message, Fix: fix, Evidence: evidence})
}

// ok takes down that something is well.
func (r *recorder) ok(subject, message string, evidence ...string) {
	r.add(Result{Code: r.check.Code + "00", Name: r.check.Name, Level: OK, Subject: subject, Message: message, Evidence: evidence})
}

// skip takes down that something was not looked at, and why.
func (r *recorder) skip(subject, reason string) {
	r.add(Result{Code: r.check.Code + "00", Name: r.check.Name, Level: Skipped, Subject: subject, Message: reason})
}

func (r *recorder) add(result Result) {
	result.Check = r.check.Name
	result.Subject, result.Message = clean(result.Subject), clean(result.Message)
	var lines []string
	for line := range strings.SplitSeq(result.Fix, "\n") {
		lines = append(lines, clean(line))
	}
	result.Fix = strings.Join(lines, "\n")
	for i, line := range result.Evidence {
		result.Evidence[i] = clean(line)
	}
	switch {
	case r.only != nil && !r.only(result):
	case len(r.results) >= maxResults && result.Level.rank() <= r.worst:
		r.dropped++
	default:
		r.worst = max(r.worst, result.Level.rank())
		r.results = append(r.results, result)
	}
}

// all are the results, and how many there were besides.
func (r *recorder) all() []Result {
	if r.dropped == 0 {
		return r.results
	}
	return append(r.results, Result{
		Code: r.check.Code + "00", Name: r.check.Name, Check: r.check.Name, Level: Info,
		Message: fmt.Sprintf("%d more results of this check are left out", r.dropped),
	})
}

// troubled reports whether something was taken down that is not well.
func (r *recorder) troubled() bool {
	for _, result := range r.results {
		if result.Level.rank() > 0 {
			return true
		}
	}
	return false
}
