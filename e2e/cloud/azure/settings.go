package azure

import (
	"time"

	"regcred/e2e/cloud/fake"
)

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
	Entra           fake.TokenSettings
	ACR             ACRSettings
	IdentityBinding fake.TokenSettings
}

// InstanceSettings are the managed identities of a machine, and their tokens.
type InstanceSettings struct {
	Tenant string            // of the identities; empty: HomeTenant
	System *ManagedIdentity  // nil: none
	User   []ManagedIdentity // that were assigned to it

	Token fake.TokenSettings
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
	// Directory is where the agent keeps its keys. Empty: ArcDirectory.
	Directory string
	// Extension is what the names of the keys end in. Empty: .key.
	Extension string
	// KeySize is the length of a key. Zero: 64.
	KeySize int
}

// ACRSettings is what registries answer.
type ACRSettings struct {
	Refresh fake.TokenSettings // Life zero: three hours
	Access  fake.TokenSettings // Life zero: 75 minutes
}
