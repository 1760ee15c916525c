// Package redact makes text that came from elsewhere fit to print: one line,
// bounded, and without anything that looks like a token.
package redact

import "strings"

const (
	mark = "[redacted]"

	// maxLine bounds a message. The kubelet copies a plugin's stderr into its
	// own log line.
	maxLine = 2048

	// longRun is the length from which an unbroken run of base64 characters
	// is taken for a token. Names that people choose (roles, hosts, request
	// IDs) are shorter; session tokens, registry passwords and JWTs are longer.
	longRun = 100

	// jwtStart is how every JWT begins: base64url of `{"`.
	jwtStart = "eyJ"
)

// Line returns text as a single line without the secrets given, without JWTs
// and without other long runs of base64, cut to 2 KiB.
func Line(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= 8 {
			text = strings.ReplaceAll(text, secret, mark)
		}
	}
	text = tokens(text)
	text = strings.Join(strings.FieldsFunc(text, isControl), " ")
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "..."
	}
	return text
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' }

// tokens replaces every run of token characters that is a JWT or too long to
// be anything but a token.
func tokens(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		run := run(text)
		switch {
		case run == "":
			run = text[:1]
			b.WriteString(run)
		case isJWT(run):
			run = jwt(text)
			b.WriteString(mark)
		case len(run) >= longRun:
			b.WriteString(mark)
		default:
			b.WriteString(run)
		}
		text = text[len(run):]
	}
	return b.String()
}

// run returns the token characters that text begins with.
func run(text string) string {
	end := 0
	for end < len(text) && isToken(text[end]) {
		end++
	}
	return text[:end]
}

// isJWT reports whether the first part of a JWT is in the run.
func isJWT(run string) bool {
	at := strings.Index(run, jwtStart)
	return at >= 0 && len(run)-at >= 16
}

// jwt returns the run that text begins with and those joined to it by dots:
// a signature by itself may be short enough to pass for a name.
func jwt(text string) string {
	end := len(run(text))
	for end < len(text) && text[end] == '.' {
		next := run(text[end+1:])
		if next == "" {
			break
		}
		end += 1 + len(next)
	}
	return text[:end]
}

func isToken(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '+' || c == '/' || c == '=' || c == '-' || c == '_'
}
