package kubelet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"regcred/shared/redact"
)

// Level says how bad a Problem is.
type Level int

const (
	// Info is worth knowing, and may be as it should be.
	Info Level = iota
	// Warning stops no kubelet, but is not what somebody meant: an image that
	// gets no credential, a provider that never runs.
	Warning
	// Error is what the kubelet refuses: a configuration that it does not start
	// with, an answer that it throws away.
	Error
)

// String returns the level in lower case.
func (l Level) String() string {
	switch l {
	case Info:
		return "info"
	case Warning:
		return "warning"
	default:
		return "error"
	}
}

// MarshalText returns the level in lower case, for JSON.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Problem is something wrong with a configuration or with an answer. No field
// of it has a secret in it, or more than one line.
type Problem struct {
	Level Level `json:"level"`

	// Code names the kind of problem, and does not change: "name-duplicate".
	Code string `json:"code"`

	// File is where it is. Empty is an answer, or no file in particular.
	File string `json:"file,omitempty"`

	// Field is the path of the field: providers[2].matchImages[0]. Empty is the
	// file as a whole.
	Field string `json:"field,omitempty"`

	// Message is what is wrong, and Fix what to do about it.
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

// String returns the problem in one line: where, what, and what to do.
func (p Problem) String() string {
	var b strings.Builder
	for _, where := range []string{p.File, p.Field} {
		if where != "" {
			b.WriteString(where + ": ")
		}
	}
	b.WriteString(p.Message)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// Problems are in the order in which they were found: by file, then by
// provider.
type Problems []Problem

// Err returns an error that names those of level Error, or nil if there are
// none.
func (p Problems) Err() error {
	var errs []string
	for _, problem := range p {
		if problem.Level == Error {
			errs = append(errs, problem.String())
		}
	}
	if len(errs) == 0 {
		return nil
	}
	if more := len(errs) - maxTold; more > 0 {
		errs = append(errs[:maxTold], fmt.Sprintf("%d more", more))
	}
	return &InvalidError{Problems: p, text: strings.Join(errs, "; and ")}
}

// At returns the problems of a level or worse.
func (p Problems) At(level Level) Problems {
	return slices.DeleteFunc(slices.Clone(p), func(problem Problem) bool { return problem.Level < level })
}

// InvalidError is what the kubelet refuses, with everything that is wrong.
type InvalidError struct {
	// Problems are of all levels.
	Problems Problems

	text string
}

// Error returns the problems of level Error in one line, or the first twenty.
func (e *InvalidError) Error() string { return e.text }

const (
	// maxProblems bounds the problems of a configuration, and maxFew those of an
	// answer or a docker configuration. Nobody reads as many.
	maxProblems = 500
	maxFew      = 50

	// maxTold bounds the problems that an error names.
	maxTold = 20
)

// bounded returns so many problems, the errors among them first if there are
// more.
func (p Problems) bounded(most int) Problems {
	if len(p) <= most {
		return p
	}
	all := slices.Clone(p)
	slices.SortStableFunc(all, func(a, b Problem) int { return cmp.Compare(b.Level, a.Level) })
	more := problemf(all[most].Level, "problems-more", "", "correct the others first", "%d more problems", len(all)-most)
	more.File = all[most].File
	return append(all[:most:most], more)
}

// problemf makes a problem whose texts are fit to print, whatever is quoted in
// them.
func problemf(level Level, code, field, fix, format string, args ...any) Problem {
	return Problem{Level: level, Code: code, Field: redact.Line(field), Message: redact.Line(fmt.Sprintf(format, args...)), Fix: redact.Line(fix)}
}
