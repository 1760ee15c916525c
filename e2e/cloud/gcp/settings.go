package gcp

import "time"

// Settings is how the fake behaves. The zero value is a Google Cloud in good
// order, with an instance that has no service account.
type Settings struct {
	// Clock is how far the fake's clock is ahead of the machine's. It counts
	// for the Date header, for the expiry of what the fake is shown and for
	// the times it answers; "expires_in" is a duration and knows no clock.
	Clock time.Duration

	Metadata       MetadataSettings
	STS            TokenSettings
	IAMCredentials TokenSettings
	OAuth2         TokenSettings
}

// MetadataSettings is what the metadata server of the instance answers.
type MetadataSettings struct {
	ServiceAccount string   // email; empty: none is attached
	Scopes         []string // nil: read-only storage, and logs

	Project       string // empty: example-project
	ProjectNumber string // empty: 123456789012
	Universe      string // empty: not found, as on Google Cloud proper

	// Attributes are the instance's own, such as google-dockercfg.
	Attributes map[string]string

	Token TokenSettings
	// RenewBefore is how long before its end the server stops repeating a
	// token. Zero: five minutes.
	RenewBefore time.Duration

	Disabled bool // the server answers 403 to everything
	Impostor bool // what answers is no metadata server: there is no Metadata-Flavor
}

// TokenSettings is what a service answers that issues access tokens.
type TokenSettings struct {
	Life  time.Duration // zero: an hour
	Shape TokenShape
}

// TokenShape is a way for an answer to be of no use.
type TokenShape int

// The first is of use; the others are what has to be refused.
const (
	Ordinary     TokenShape = iota
	NoFields                // an empty object
	EmptyToken              // a token of no characters
	NoExpiry                // a token without an expiry
	ExpiresNow              // expires_in is 0, or the expiry is this moment
	ExpiredLong             // expires_in is negative, or the expiry is past
	LongestToken            // of use: 12 KiB, the most that STS documents
)

// Configure changes the settings, also while services run.
func (f *Fake) Configure(change func(*Settings)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.settings)
}

func (f *Fake) current() Settings {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settings
}
