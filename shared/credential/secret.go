package credential

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// redacted is what a Secret looks like to everything but Reveal.
const redacted = "[redacted]"

// Secret is a password or a token. It prints as "[redacted]" under every
// formatting verb, in JSON and in slog; only Reveal returns the value.
//
// The value is kept behind a pointer because fmt does not call the methods of
// unexported fields: a struct that holds a Secret in one prints an address.
//
// The zero Secret is the empty string. Secrets cannot be compared with ==,
// which would compare addresses.
type Secret struct {
	_     [0]func()
	value *string
}

// NewSecret returns a Secret holding value, which is one of Known from then on.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	known.add(value)
	return Secret{value: &value}
}

// Known returns every value that has been a Secret of this process, for
// messages to be cleared of. Values of less than 8 bytes are not among them:
// they are words of other texts too.
func Known() []string { return known.values() }

// known is the one piece of state that a package of this project keeps. A
// message is put together from texts of services, libraries and programs, far
// from where secrets are read, and any of those texts may repeat one. A set
// that is handed around would miss the secrets of the one place that forgets
// it; a Secret cannot be made without this one. It only grows, and nothing but
// what messages leave out depends on it.
var known secrets

// shortestKnown is the least length of a value that is known.
const shortestKnown = 8

type secrets struct {
	mu  sync.Mutex
	set map[string]struct{}
}

func (s *secrets) add(value string) {
	if len(value) < shortestKnown {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = make(map[string]struct{})
	}
	s.set[value] = struct{}{}
}

func (s *secrets) values() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.set))
}

// Reveal returns the value. Its callers are the places to audit.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.value == nil }

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// Format writes "[redacted]" whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns "[redacted]"; JSON uses it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
