package registry

import (
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// choose returns the challenge that a runtime meets, of those that a registry
// puts: a token before a password.
func choose(headers []string) (transport.Challenge, bool) {
	var basic *transport.Challenge
	for _, header := range headers {
		for _, challenge := range parseChallenges(header) {
			switch {
			case challenge.Scheme == "bearer" && challenge.Parameters["realm"] != "":
				return challenge, true
			case challenge.Scheme == "basic" && basic == nil:
				basic = &challenge
			}
		}
	}
	if basic != nil {
		return *basic, true
	}
	return transport.Challenge{}, false
}

// describe shows a challenge.
func describe(c transport.Challenge) string {
	var b strings.Builder
	b.WriteString(c.Scheme)
	for _, name := range []string{"realm", "service", "scope"} {
		if value := c.Parameters[name]; value != "" {
			if address, err := url.Parse(value); name == "realm" && err == nil && address.User != nil {
				value = address.Redacted()
			}
			b.WriteString(" " + name + "=" + value)
		}
	}
	return b.String()
}

// parseChallenges reads a WWW-Authenticate header (RFC 9110, 11.6.1): several
// challenges may be in one.
func parseChallenges(header string) []transport.Challenge {
	var all []transport.Challenge
	for rest := header; ; {
		rest = strings.TrimLeft(rest, " \t,")
		word, after := token(rest)
		if word == "" {
			return all
		}
		after = strings.TrimLeft(after, " \t")
		if value, ok := strings.CutPrefix(after, "="); ok && len(all) > 0 {
			value, rest = parameter(strings.TrimLeft(value, " \t"))
			all[len(all)-1].Parameters[strings.ToLower(word)] = value
			continue
		}
		all = append(all, transport.Challenge{Scheme: strings.ToLower(word), Parameters: map[string]string{}})
		rest = after
	}
}

// token cuts a token off.
func token(text string) (word, rest string) {
	end := strings.IndexFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}

// parameter cuts a value off, which may be in quotes.
func parameter(text string) (value, rest string) {
	if !strings.HasPrefix(text, `"`) {
		return token(text)
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:]
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
