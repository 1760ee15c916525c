package fake

import (
	"encoding/base64"
	"encoding/json"
	"sync"
	"time"
)

// TokenSettings is what a service answers that issues tokens.
type TokenSettings struct {
	Life  time.Duration // zero: as long as the cloud's own
	Shape TokenShape
}

// TokenShape is a way for an answer to be of no use.
type TokenShape int

// The first is of use; the others are what has to be refused, or not to be kept.
const (
	Ordinary     TokenShape = iota
	NoFields                // an empty object
	EmptyToken              // a token of no characters
	NoExpiry                // a token without an expiry
	ExpiresNow              // the expiry is this moment
	ExpiredLong             // the expiry is past
	LongestToken            // of use: as long as the cloud documents
	NotAToken               // text that is no token, where tokens have a form
)

// LifeOr is for how long a token is good that is ordinarily good for so long.
func (s TokenSettings) LifeOr(ordinary time.Duration) time.Duration {
	switch {
	case s.Shape == ExpiresNow:
		return 0
	case s.Shape == ExpiredLong:
		return -time.Hour
	case s.Life != 0:
		return s.Life
	default:
		return ordinary
	}
}

// Grant is an issued token on its way into an answer.
type Grant struct {
	Token           string
	Issued, Expires time.Time
	Shape           TokenShape
}

// OAuth is the answer of RFC 6749, section 5.1.
func (g Grant) OAuth(now time.Time) map[string]any {
	return g.Shape.Apply(map[string]any{
		"access_token": g.Token,
		"expires_in":   int(g.Expires.Sub(now).Seconds()),
		"token_type":   "Bearer",
	}, "access_token", "expires_in")
}

// Apply gives an answer its shape, whose fields a token and its expiry are
// called so.
func (s TokenShape) Apply(answer map[string]any, token string, expiry ...string) map[string]any {
	switch s {
	case NoFields:
		return map[string]any{}
	case EmptyToken:
		answer[token] = ""
	case NoExpiry:
		for _, name := range expiry {
			delete(answer, name)
		}
	}
	return answer
}

// Repeater holds what a machine's own services repeat to everybody who asks,
// with less and less of its life left, until shortly before its end: asking
// earlier yields nothing new. The zero value holds nothing.
type Repeater[K comparable, T any] struct {
	mu   sync.Mutex
	held map[K]repeated[T]
}

type repeated[T any] struct {
	value T
	until time.Time
}

// Get returns what is held under a key. It is issued at first use, and again
// when issue's until has come.
func (r *Repeater[K, T]) Get(key K, now time.Time, issue func() (value T, until time.Time)) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if held, ok := r.held[key]; ok && now.Before(held.until) {
		return held.value
	}
	if r.held == nil {
		r.held = map[K]repeated[T]{}
	}
	value, until := issue()
	r.held[key] = repeated[T]{value, until}
	return value
}

// NoiseJWT makes what looks like a signed token. Nobody but who made it needs to
// know it, so its signature is noise.
func NoiseJWT(claims map[string]any) string {
	payload, _ := json.Marshal(claims) // strings and numbers never fail
	return base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"RS256","kid":"fake"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(payload) + "." + Text(256)
}

// DecodeSegment reads one of the parts of a JWT, RFC 7515.
func DecodeSegment(encoded string, into any) error {
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	return json.Unmarshal(decoded, into)
}
