package azure

import "time"

// Settings is how the fake behaves. The zero value is an Azure in good order,
// with a machine that has no identity.
type Settings struct {
	// Clock is how far the fake's clock is ahead of the machine's. It counts
	// for the Date header, for the expiry of what the fake is shown and for
	// the times it answers; "expires_in" is a duration and knows no clock.
	Clock time.Duration

	// Resources are audiences that Entra issues tokens for besides those of
	// Azure itself.
	Resources []string

	IMDS            IMDSSettings
	Arc             ArcSettings
	Entra           TokenSettings
	ACR             ACRSettings
	IdentityBinding TokenSettings
}

// InstanceSettings are the managed identities of a machine, and their tokens.
type InstanceSettings struct {
	Tenant string            // of the identities; empty: HomeTenant
	System *ManagedIdentity  // nil: none
	User   []ManagedIdentity // that were assigned to it

	Token TokenSettings
	// RenewBefore is how long before its end the platform stops repeating a
	// token. Zero: five minutes.
	RenewBefore time.Duration
}

// ManagedIdentity is an identity that Azure keeps the secrets of.
type ManagedIdentity struct {
	ClientID   string
	ObjectID   string
	ResourceID string
}

// IMDSSettings is what the instance metadata service answers.
type IMDSSettings struct {
	InstanceSettings
	Numbers bool // numbers in answers are numbers: documented are strings
}

// ArcSettings is what the agent of Azure Arc answers.
type ArcSettings struct {
	InstanceSettings
	// OldAgent knows no user-assigned identities: whichever it is asked for,
	// it answers the system's and does not say so.
	OldAgent bool
	// Folder is where the agent keeps its keys. Empty: ArcFolder.
	Folder string
	// Extension is what the names of the keys end in. Empty: .key.
	Extension string
	// KeySize is the length of a key. Zero: 64.
	KeySize int
}

// TokenSettings is what a service answers that issues tokens.
type TokenSettings struct {
	Life  time.Duration // zero: an hour, or a day for those of machines
	Shape TokenShape
}

// TokenShape is a way for an answer to be of no use.
type TokenShape int

// The first is of use; the others are what has to be refused, or not to be kept.
const (
	Ordinary    TokenShape = iota
	NoFields               // an empty object
	EmptyToken             // a token of no characters
	NoExpiry               // a token without an expiry
	ExpiresNow             // the expiry is this moment
	ExpiredLong            // the expiry is past
	NotAToken              // a registry's: text that is no JWT
)

// ACRSettings is what registries answer.
type ACRSettings struct {
	Refresh TokenSettings // Life zero: three hours
	Access  TokenSettings // Life zero: 75 minutes
}

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
