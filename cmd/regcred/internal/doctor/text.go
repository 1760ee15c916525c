package doctor

import (
	"fmt"
	"strings"

	"regcred/cmd/regcred/internal/term"
)

// Print prints a report for people: a paragraph for each check, and a line for
// each result. Short leaves out what needs nobody.
func (r Report) Print(p *term.Printer, short bool) {
	check := ""
	for _, result := range r.Results {
		if short && result.Level.rank() == 0 {
			continue
		}
		if result.Check != check {
			if check != "" {
				p.Line("")
			}
			check = result.Check
			p.Line(p.Styled(term.Bold, check))
		}
		result.print(p)
	}
	if check != "" {
		p.Line("")
	}
	p.Line(r.Summary())
}

func (r Result) print(p *term.Printer) {
	word := fmt.Sprintf("  %-8s", r.Level)
	text := r.Message
	if r.Subject != "" {
		text = r.Subject + ": " + text
	}
	if r.Level.rank() > 0 || r.Level == Info {
		text += p.Styled(term.Faint, "  ["+r.Code+" "+r.Name+"]")
	}
	p.Line(p.Styled(r.Level.style(), word) + text)
	const indent = "          "
	if r.Level == OK || r.Level == Skipped {
		return
	}
	for _, line := range r.Evidence {
		p.Line(indent + p.Styled(term.Faint, "seen: "+line))
	}
	for i, line := range strings.Split(r.Fix, "\n") {
		switch {
		case r.Fix == "":
		case i == 0:
			p.Line(indent + "fix:  " + line)
		default:
			p.Line(indent + "      " + line)
		}
	}
}

func (l Level) style() term.Style {
	switch l {
	case Error:
		return term.Red
	case Warning:
		return term.Yellow
	case OK:
		return term.Green
	default:
		return term.Faint
	}
}
