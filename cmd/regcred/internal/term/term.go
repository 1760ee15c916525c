// Package term prints for people: colours and aligned tables on a terminal,
// plain text anywhere else.
package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	xterm "golang.org/x/term"
)

// Printer writes to a terminal, or to something that is none.
type Printer struct {
	w        io.Writer
	terminal bool
	colour   bool
	err      error
}

// New returns a Printer. Colours are for terminals, unless NO_COLOR is set to
// anything (https://no-color.org) or TERM is dumb.
func New(w io.Writer, getenv func(string) string) *Printer {
	terminal := isTerminal(w)
	return &Printer{w: w, terminal: terminal, colour: terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

// IsTerminal reports whether somebody is looking.
func (p *Printer) IsTerminal() bool { return p.terminal }

// File is what is written to, for a program that is to write there itself.
func (p *Printer) File() io.Writer { return p.w }

// Write implements io.Writer.
func (p *Printer) Write(data []byte) (int, error) {
	n, err := p.w.Write(data)
	if p.err == nil {
		p.err = err
	}
	return n, err
}

// Err is why not all of what was printed has arrived, or nil.
func (p *Printer) Err() error { return p.err }

// Line prints a line, or several. What does something to a terminal is taken out
// of it, but for styles.
func (p *Printer) Line(text string) { _, _ = io.WriteString(p, p.harmless(text)+"\n") }

// harmless is text without what a terminal would obey: names of programs and
// files may have anything in them.
func (p *Printer) harmless(text string) string {
	if strings.IndexFunc(text, isControl) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if style := styleAt(text[i:]); p.colour && style > 0 {
			b.WriteString(text[i : i+style])
			i += style
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case isControl(r):
			b.WriteByte(' ')
		default:
			b.WriteRune(r) // which U+FFFD is for what is no character
		}
		i += size
	}
	return b.String()
}

// JSON is a value as indented JSON, with a line feed at its end. What does
// something to a terminal is escaped in it: programs get names from elsewhere as
// they are, and who reads the JSON itself sees what is in them.
func JSON(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return Escaped(text.Bytes()), nil
}

// Escaped is JSON in which that is done.
func Escaped(text []byte) []byte {
	if bytes.IndexFunc(text, needsEscape) < 0 {
		return text
	}
	var b []byte
	for _, r := range string(text) {
		if !needsEscape(r) {
			b = utf8.AppendRune(b, r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			b = fmt.Appendf(b, `\u%04x`, unit)
		}
	}
	return b
}

// needsEscape reports whether a terminal obeys a character of JSON's strings. No
// other part of JSON has such, but line feeds.
func needsEscape(r rune) bool { return r > ' ' && isControl(r) }

func isControl(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// styleAt returns the length of the style that text begins with, or 0.
func styleAt(text string) int {
	rest, ok := strings.CutPrefix(text, "\x1b[")
	if !ok {
		return 0
	}
	rest = strings.TrimLeft(rest, "0123456789")
	if !strings.HasPrefix(rest, "m") {
		return 0
	}
	return len(text) - len(rest) + 1
}

// Style is how a word is to look on a terminal.
type Style string

// The styles, in the terminal's own colours.
const (
	Bold   Style = "1"
	Faint  Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Styled returns text in a style where there are colours.
func (p *Printer) Styled(style Style, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

// Table prints rows in columns. Cells have no styles: they would count as
// letters.
func (p *Printer) Table(rows [][]string) {
	tab := tabwriter.NewWriter(p, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, 0, len(row))
		for _, cell := range row {
			cells = append(cells, strings.NewReplacer("\n", " ", "\t", " ").Replace(p.harmless(cell)))
		}
		_, _ = io.WriteString(tab, strings.Join(cells, "\t")+"\n")
	}
	_ = tab.Flush()
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && xterm.IsTerminal(int(file.Fd()))
}
