// Package redact makes text that came from elsewhere fit to print: one line,
// bounded, and without anything that looks like a token.
package redact

import (
	"strings"
	"unicode"
)

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
	text = named(text)
	text = tokens(text)
	text = strings.Join(strings.FieldsFunc(text, isControl), " ")
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "..."
	}
	return text
}

// isControl reports whether a rune does something to a terminal or to the text
// around it, such as turning its direction.
func isControl(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// secretNames are names whose values are secrets, in lower case and without
// separators. Programs that are asked for credentials print such lines.
var secretNames = []string{"secretaccesskey", "sessiontoken", "securitytoken", "accesstoken", "refreshtoken", "clientsecret", "password"}

// named replaces the value after every name of a secret that is followed by a
// colon or an equals sign.
func named(text string) string {
	var b strings.Builder
	for text != "" {
		at := strings.IndexAny(text, ":=")
		if at < 0 {
			break
		}
		name, rest := text[:at], text[at+1:]
		b.WriteString(text[:at+1])
		text = rest
		if !namesSecret(name) {
			continue
		}
		value := strings.TrimLeft(rest, " \t\"'")
		b.WriteString(rest[:len(rest)-len(value)])
		end := strings.IndexAny(value, " \t\r\n\"',;&}")
		if end < 0 {
			end = len(value)
		}
		if end > 0 {
			b.WriteString(mark)
		}
		text = value[end:]
	}
	b.WriteString(text)
	return b.String()
}

// namesSecret reports whether text ends in the name of a secret.
func namesSecret(text string) bool {
	text = text[max(0, len(text)-40):]
	text = strings.NewReplacer("_", "", "-", "", `"`, "", "'", "", " ", "").Replace(strings.ToLower(text))
	for _, name := range secretNames {
		if strings.HasSuffix(text, name) {
			return true
		}
	}
	return false
}

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
		case isLong(run):
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

// isLong reports whether a run is too long to be anything but a token. A path
// has slashes too, and may be as long as it likes if its parts are not.
func isLong(run string) bool {
	if len(run) < longRun {
		return false
	}
	if strings.ContainsAny(run, "+=") {
		return true
	}
	for part := range strings.SplitSeq(run, "/") {
		if len(part) >= longRun {
			return true
		}
	}
	return false
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
