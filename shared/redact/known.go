package redact

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// shortest is the length from which a known secret is hidden.
	shortest = 8

	// telling is how much of a longer secret gives it away: messages quote
	// secrets cut off.
	telling = 16

	// longestEscape is what a byte of a secret becomes at most: the six of
	// "\u002b", with a second backslash for JSON in JSON.
	longestEscape = 7
)

// known finds the secrets, or the beginnings of them, in all the ways in which
// they are written.
func known(text string, secrets []string) []span {
	var hidden []span
	var views []view
	for _, secret := range secrets {
		if len(secret) < shortest {
			continue
		}
		if views == nil {
			views = readings(text)
		}
		line := plain(oneLine(secret))
		for _, v := range views {
			hidden = append(hidden, v.find(line)...)
		}
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for before := range 3 {
				beginning := inBase64(encoding, before, secret[:min(len(secret), telling)])
				for _, v := range views {
					if strings.Contains(v.text, beginning) {
						hidden = append(hidden, wholeRuns(text, v.find(inBase64(encoding, before, secret)))...)
					}
				}
			}
		}
	}
	return hidden
}

// plain writes a plus sign as the space that it is in a URL's query. Texts and
// secrets are compared so.
func plain(text string) string { return strings.ReplaceAll(text, "+", " ") }

// inBase64 returns what is the same in the base64 of all texts that hold the
// secret behind so many bytes, modulo three. The characters at the ends, which
// share bits with its neighbours, are left out.
func inBase64(encoding *base64.Encoding, before int, secret string) string {
	encoded := encoding.EncodeToString(append(make([]byte, before), secret...))
	return plain(encoded[(8*before+5)/6 : 8*(before+len(secret))/6])
}

// wholeRuns widens spans of base64 to all of it: around them are a user name,
// and bits of the secret.
func wholeRuns(text string, spans []span) []span {
	var runs []span
	to := 0
	for _, s := range spans {
		if s.to <= to {
			continue
		}
		from := s.from
		for from > to && isToken(text[from-1]) {
			from--
		}
		to = runEnd(text, s.to)
		runs = append(runs, span{from, to})
	}
	return runs
}

// view is a text with its escapes read.
type view struct {
	text string
	// at has for each byte, and for the end, where it comes from in the text
	// that was read. Nil means that it is the text itself.
	at []int
}

// find returns where a secret or its beginning is.
func (v view) find(secret string) []span {
	if len(secret) < shortest || !strings.Contains(v.text, secret[:min(len(secret), telling)]) {
		return nil
	}
	// Knuth, Morris and Pratt: matched is how much of the secret the text ends
	// in so far, and shorter how much remains of a match that goes on no longer.
	shorter := make([]int, len(secret)+1)
	for i, matched := 1, 0; i < len(secret); i++ {
		for matched > 0 && secret[matched] != secret[i] {
			matched = shorter[matched]
		}
		if secret[matched] == secret[i] {
			matched++
		}
		shorter[i+1] = matched
	}
	var found []span
	matched := 0
	for i := range len(v.text) {
		for matched == len(secret) || matched > 0 && secret[matched] != v.text[i] {
			matched = shorter[matched]
		}
		if secret[matched] == v.text[i] {
			matched++
		}
		if matched < min(len(secret), telling) {
			continue
		}
		s := span{v.source(i + 1 - matched), v.source(i + 1)}
		if last := len(found) - 1; last >= 0 && s.from <= found[last].to {
			found[last].to = s.to
		} else {
			found = append(found, s)
		}
	}
	return found
}

func (v view) source(i int) int {
	if v.at == nil {
		return i
	}
	return v.at[i]
}

// readings returns a text as it is, and with the escapes of JSON and of URLs
// read, once and twice: services quote each other's answers.
func readings(text string) []view {
	views := make([]view, 1, 7)
	views[0].text = plain(text)
	read := 0
	for range 2 {
		for _, v := range views[read:] {
			read++
			views = append(views, v.read('\\', unescapeJSON)...)
			views = append(views, v.read('%', unescapeURL)...)
		}
	}
	return views
}

// read returns the view with its escapes read, or nothing if it has none.
// unescape returns what text begins with, if that is an escape, and its length.
func (v view) read(sign byte, unescape func(text string) (string, int)) []view {
	if strings.IndexByte(v.text, sign) < 0 {
		return nil
	}
	var b strings.Builder
	b.Grow(len(v.text))
	at := make([]int, 0, len(v.text)+1)
	control := false
	for i := 0; i < len(v.text); {
		char, size := v.text[i:i+1], 0
		if char[0] == sign {
			char, size = unescape(v.text[i:])
		}
		escaped := size > 0
		if !escaped {
			char, size = v.text[i:i+1], 1
		}
		// Control characters are one space together, as in the line.
		if r, _ := utf8.DecodeRuneInString(char); escaped && isControl(r) {
			if char = " "; control {
				char = ""
			}
			control = true
		} else {
			control = false
		}
		for range len(char) {
			at = append(at, v.source(i))
		}
		b.WriteString(plain(char))
		i += size
	}
	return []view{{b.String(), append(at, v.source(len(v.text)))}}
}

// unescapeJSON reads an escape of a string in JSON, or in a language whose
// strings are like those.
func unescapeJSON(text string) (string, int) {
	if len(text) < 2 {
		return "", 0
	}
	switch c := text[1]; c {
	case '"', '\\', '/', '\'':
		return text[1:2], 2
	case 'a', 'b', 'f', 'n', 'r', 't', 'v':
		return "\n", 2 // any of them is one more control character
	case 'x':
		if n, ok := hex(text[2:], 2); ok {
			return string([]byte{byte(n & 0xff)}), 4
		}
	case 'U':
		if n, ok := hex(text[2:], 8); ok {
			return string(n), 10
		}
	case 'u':
		n, ok := hex(text[2:], 4)
		if !ok {
			break
		}
		if utf16.IsSurrogate(n) && strings.HasPrefix(text[6:], `\u`) {
			if low, ok := hex(text[8:], 4); ok && utf16.DecodeRune(n, low) != utf8.RuneError {
				return string(utf16.DecodeRune(n, low)), 12
			}
		}
		return string(n), 6
	}
	return "", 0
}

// unescapeURL reads the escapes of one character in a URL.
func unescapeURL(text string) (string, int) {
	var char []byte
	for i := 0; i+3 <= len(text) && text[i] == '%' && !utf8.FullRune(char); i += 3 {
		n, ok := hex(text[i+1:], 2)
		if !ok {
			break
		}
		char = append(char, byte(n&0xff))
	}
	if _, size := utf8.DecodeRune(char); size < len(char) || !utf8.FullRune(char) {
		// No character at all: bytes.
		char = char[:min(len(char), 1)]
	}
	return string(char), 3 * len(char)
}

// hex returns the number that text begins with, in so many digits.
func hex(text string, digits int) (n rune, ok bool) {
	if len(text) < digits {
		return 0, false
	}
	for _, c := range []byte(text[:digits]) {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
