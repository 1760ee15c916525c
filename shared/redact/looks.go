package redact

import (
	"slices"
	"strings"
)

const (
	pemBegin = "-----BEGIN"
	pemEnd   = "-----END"
	pemDash  = "-----"
)

// pemBlocks finds PEM blocks, whole or cut off at either end, on lines of their
// own or joined by escapes.
func pemBlocks(text string) []span {
	var blocks []span
	begin, end := index(text, pemBegin, 0), index(text, pemEnd, 0)
	for from := 0; ; {
		// Neither is looked for again before it has been passed.
		if begin >= 0 && begin < from {
			begin = index(text, pemBegin, from)
		}
		if end >= 0 && end < from {
			end = index(text, pemEnd, from)
		}
		var block span
		switch {
		case begin < 0 && end < 0:
			return blocks
		case begin >= 0 && begin <= end:
			block = span{begin, pemLineEnd(text, end)}
		case begin >= 0 && end < 0:
			// Headers of encrypted keys are part of the body.
			block = span{begin, begin + len(pemBegin)}
			for block.to < len(text) && (isPEM(text[block.to]) || strings.IndexByte("-:,", text[block.to]) >= 0) {
				block.to++
			}
		default:
			block = span{end, pemLineEnd(text, end)}
			for block.from > from && isPEM(text[block.from-1]) {
				block.from--
			}
		}
		blocks = append(blocks, block)
		from = block.to
	}
}

// pemLineEnd returns where the last line of a PEM block ends, or is cut off.
func pemLineEnd(text string, end int) int {
	dash := index(text, pemDash, end+len(pemEnd))
	if dash < 0 {
		return len(text)
	}
	return dash + len(pemDash)
}

// isPEM reports whether the body of a PEM block has the character. Its lines
// may be ended by escapes of JSON or of a URL.
func isPEM(c byte) bool { return isToken(c) || c == ' ' || c == '\\' || c == '%' }

// index is strings.Index from a position on.
func index(text, part string, from int) int {
	if i := strings.Index(text[from:], part); i >= 0 {
		return from + i
	}
	return -1
}

// secretNames are names whose values are secrets, in lower case and without
// separators. Programs that are asked for credentials print such lines.
var secretNames = []string{
	"secretaccesskey", "secretkey", "sessiontoken", "securitytoken", "accesstoken", "refreshtoken",
	"clientsecret", "password", "passwd", "passphrase",
	// Of a request, which whoever repeats it may send once more.
	"signature",
}

// authorization is the name of a header whose value names a scheme before the
// secret.
const authorization = "authorization"

var schemes = []string{"basic ", "bearer "}

// namedValues finds what follows the name of a secret and a colon or an equals
// sign.
func namedValues(text string) []span {
	var values []span
	for from := 0; ; {
		separator := strings.IndexAny(text[from:], ":=")
		if separator < 0 {
			return values
		}
		from += separator + 1
		name := nameBefore(text[:from-1])
		switch {
		case strings.HasSuffix(name, authorization):
			value := strings.TrimLeft(text[from:], ` "'\`)
			for _, scheme := range schemes {
				if len(value) > len(scheme) && strings.EqualFold(value[:len(scheme)], scheme) {
					from = len(text) - len(value) + len(scheme)
					values = append(values, span{from, from + valueEnd(text[from:])})
				}
			}
		case slices.ContainsFunc(secretNames, func(secret string) bool { return strings.HasSuffix(name, secret) }):
			if value := valueAfter(text, from); value.to > value.from && !isCause(text[value.from:]) {
				values = append(values, value)
				from = value.to
			}
		}
	}
}

// causes are what a system says of a file, behind its path: "/etc/passwd:
// permission denied" has no password in it.
var causes = []string{
	"permission denied", "operation not permitted", "no such file", "is a directory", "not a directory", "input/output error",
	"too many levels of symbolic links", "not a regular file", "writable by others: ", "owned by user ",
}

// isCause reports whether text begins with such words.
func isCause(text string) bool {
	return slices.ContainsFunc(causes, func(cause string) bool {
		rest, ok := strings.CutPrefix(text, cause)
		return ok && (rest == "" || cause[len(cause)-1] == ' ' || strings.IndexByte(" :;,.)]\"'\\", rest[0]) >= 0)
	})
}

// nameBefore returns the letters that text ends in, in lower case and without
// what separates the words of a name: as many as a name of a secret has.
func nameBefore(text string) string {
	const longest, separated = 16, 40
	var name [longest]byte
	start := longest
	for i := len(text) - 1; i >= max(0, len(text)-separated) && start > 0; i-- {
		switch c := text[i]; {
		case strings.IndexByte(`_-"'\ `, c) >= 0:
		case 'A' <= c && c <= 'Z':
			start--
			name[start] = c - 'A' + 'a'
		case 'a' <= c && c <= 'z':
			start--
			name[start] = c
		default:
			return string(name[start:])
		}
	}
	return string(name[start:])
}

// valueAfter returns the value that begins at a position: a word, or what is
// between quotes, which may be escaped themselves.
func valueAfter(text string, from int) span {
	for from < len(text) && text[from] == ' ' {
		from++
	}
	open := from
	for open < len(text) && text[open] == '\\' {
		open++
	}
	if open == len(text) || text[open] != '"' && text[open] != '\'' {
		return span{from, from + valueEnd(text[from:])}
	}
	quote, slashes := text[open], open-from
	from = open + 1
	for i := from; i < len(text); i++ {
		if text[i] != quote {
			continue
		}
		// A quote with more backslashes than the first belongs to the value.
		before := 0
		for i-before > from && text[i-before-1] == '\\' {
			before++
		}
		if before <= slashes {
			return span{from, i - before}
		}
	}
	return span{from, len(text)}
}

// valueEnd returns the length of the word that text begins with.
func valueEnd(text string) int {
	if end := strings.IndexAny(text, " \"',;&}"); end >= 0 {
		return end
	}
	return len(text)
}

// urlPasswords finds the passwords in URLs, such as those of proxies.
func urlPasswords(text string) []span {
	const scheme = "://"
	var passwords []span
	for from := index(text, scheme, 0); from >= 0; from = index(text, scheme, from) {
		from += len(scheme)
		host := text[from:]
		if end := strings.IndexAny(host, "/?# \"'\\<>"); end >= 0 {
			host = host[:end]
		}
		colon, at := strings.IndexByte(host, ':'), strings.LastIndexByte(host, '@')
		if colon >= 0 && colon+1 < at {
			passwords = append(passwords, span{from + colon + 1, from + at})
		}
		from += len(host)
	}
	return passwords
}

const (
	// longRun is the length from which an unbroken run of base64 characters
	// is taken for a token. Names that people choose (roles, hosts, request
	// IDs) are shorter; session tokens, registry passwords and JWTs are longer.
	longRun = 100

	// wrapped is the least length of a line of base64 that goes on in the
	// next: PEM has lines of 64, MIME of 76.
	wrapped = 60

	// jwtStart is how every JWT begins: base64url of `{"`.
	jwtStart = "eyJ"

	// shortestPersonal is the least of a token that begins as those of people do.
	shortestPersonal = 20

	// shortestJWT is the least of a JWT's first part that is taken for one.
	shortestJWT = 16
)

// tokens finds every run of token characters that is a JWT or too long to be
// anything but a token.
func tokens(text string) []span {
	var found []span
	for from := 0; from < len(text); {
		from += flagEnd(text[from:])
		to := runEnd(text, from)
		if to == from {
			from++
			continue
		}
		var joined strings.Builder
		joined.WriteString(text[from:to])
		for last := to - from; last >= wrapped; {
			line := lineStart(text, to)
			next := runEnd(text, line)
			if line == to || next == line || flagEnd(text[line:]) > 0 {
				break
			}
			joined.WriteString(text[line:next])
			last, to = next-line, next
		}
		run := joined.String()
		jwt := isJWT(run)
		if jwt {
			// A signature by itself may be short enough to pass for a name.
			for to < len(text) && text[to] == '.' {
				next := runEnd(text, to+1)
				if next == to+1 {
					break
				}
				to = next
			}
		}
		if jwt || isLong(run) || isPersonal(run) {
			found = append(found, span{from, to})
		}
		from = to
	}
	return found
}

// flagEnd returns the length of the name of a flag, with its equals sign, that
// text begins with: the value, most often a path, is looked at by itself.
func flagEnd(text string) int {
	name, ok := strings.CutPrefix(text, "--")
	if !ok {
		return 0
	}
	value := strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz-")
	if value == name || !strings.HasPrefix(value, "=") {
		return 0
	}
	return len(text) - len(value) + 1
}

// personal begins the tokens that people make at GitHub, GitLab and Docker Hub to
// log in with, which programs repeat.
var personal = []string{"ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-", "gldt-", "dckr_pat_", "dckr_oat_"}

// isPersonal reports whether a run is such a token.
func isPersonal(run string) bool {
	return len(run) >= shortestPersonal && slices.ContainsFunc(personal, func(p string) bool { return strings.HasPrefix(run, p) })
}

// runEnd returns where the token characters that begin at a position end.
func runEnd(text string, from int) int {
	for from < len(text) && isToken(text[from]) {
		from++
	}
	return from
}

// lineStart returns where the next line begins, if text has the end of one at a
// position: a space in what is one line by now, or escapes.
func lineStart(text string, from int) int {
	if from < len(text) && text[from] == ' ' {
		return from + 1
	}
	for _, end := range []string{`\r\n`, `\n`, `%0D%0A`, `%0A`} {
		if strings.HasPrefix(text[from:], end) {
			return from + len(end)
		}
	}
	return from
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
	return at >= 0 && len(run)-at >= shortestJWT
}

func isToken(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '+' || c == '/' || c == '=' || c == '-' || c == '_'
}
