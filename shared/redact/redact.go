// Package redact makes text that came from elsewhere fit to print: one line,
// bounded, and without secrets.
//
// Secrets that the process holds are found however they are written: as they
// are, escaped for JSON or a URL, in base64 by themselves or behind a user name,
// and cut off. Others are told by their looks: JWTs, PEM blocks, long runs of
// base64, passwords in URLs, and what follows the name of a secret.
package redact

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

const (
	mark = "[redacted]"

	// maxLine bounds a message. The kubelet copies a plugin's stderr into its
	// own log line.
	maxLine = 2048

	// maxText is how much of a text may go into a message: more than maxLine,
	// as secrets are shortened.
	maxText = 32 << 10

	// lookahead is how much of a text beyond maxText is searched, for what
	// begins within it. A known secret may need more.
	lookahead = 4 << 10
)

// span is a part of a text that is not to be seen.
type span struct{ from, to int }

// Line returns text as a single line, cut to 2 KiB, without what looks like a
// secret and without the secrets given, as far as they have 8 bytes in a line:
// shorter ones are words of other texts too.
//
// It takes time in proportion to the text, up to a bound of some milliseconds.
func Line(text string, secrets ...string) string {
	// What begins before the limit is searched as a whole, and nothing behind it
	// is printed: no secret is cut before it is found.
	ahead := lookahead
	for _, secret := range secrets {
		ahead = max(ahead, longestEscape*len(secret))
	}
	bounded := text[:min(len(text), maxText+ahead)]
	line := oneLine(bounded)
	limit := len(line)
	if len(bounded) < len(text) {
		limit = max(0, limit-ahead)
	}
	return hide(line, limit, slices.Concat(known(line, secrets), pemBlocks(line), namedValues(line), urlPasswords(line), tokens(line)))
}

// oneLine replaces whatever ends a line, or does something to a terminal or to
// the text around it, such as turning its direction.
func oneLine(text string) string {
	if strings.IndexFunc(text, isControl) < 0 {
		return text
	}
	return strings.Join(strings.FieldsFunc(text, isControl), " ")
}

func isControl(r rune) bool {
	return r < ' ' || r >= 0x7f && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// hide returns what text has before the limit, with a mark for each part that
// is not to be seen.
func hide(text string, limit int, hidden []span) string {
	slices.SortFunc(hidden, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	shown := 0 // up to where text has been shown or hidden
	for i, s := range hidden {
		if s.from >= limit || b.Len() > maxLine {
			break
		}
		if s.from > shown || i == 0 {
			b.WriteString(text[shown:s.from])
			b.WriteString(mark)
		}
		shown = max(shown, s.to)
	}
	if shown < limit {
		b.WriteString(text[shown:limit])
	}
	if b.Len() > maxLine || limit < len(text) {
		return strings.ToValidUTF8(b.String()[:min(b.Len(), maxLine)], "") + "..."
	}
	return b.String()
}
