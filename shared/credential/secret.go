package credential

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a Secret looks like to everything but Reveal.
const redacted = "[redacted]"

// Secret is a password or a token. It prints as "[redacted]" under every
// formatting verb, in JSON and in slog; only Reveal returns the value.
//
// The value is kept behind a pointer because fmt does not call the methods of
// unexported fields: a struct that holds a Secret in one prints an address.
//
// The zero Secret is the empty string. Secrets can not be compared with ==,
// which would compare addresses.
type Secret struct {
	_     [0]func()
	value *string
}

// NewSecret returns a Secret holding value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
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
