package ibm

import (
	"time"

	"regcred/e2e/cloud/fake"
)

// Settings is how the fake behaves. The zero value is a cloud in good order, with
// a virtual server of VPC that is linked to no profile.
type Settings struct {
	// Clock is how far the fake's clock is ahead of the machine's. It counts for
	// the Date header, for the expiry of what the fake is shown and for the times
	// it answers; "expires_in" is a duration and knows no clock.
	Clock time.Duration

	Machine MachineSettings

	// Identity is what a metadata service answers of the machine itself, Machine's
	// tokens and IAM what it and IAM answer of profiles.
	Identity, Metadata, IAM fake.TokenSettings

	// LongTokens lets IAM take service accounts' tokens of more than an hour.
	LongTokens bool
}

func ahead(s Settings) time.Duration { return s.Clock }

// MachineSettings is the machine, as its metadata service knows it.
type MachineSettings struct {
	// BareMetal never had the paths from before 2025-08-26, and Old is a place
	// that has no others.
	BareMetal, Old bool

	// Secure is a machine with secure access: its service is at its name, by HTTPS
	// alone.
	Secure bool

	// Disabled is a machine whose metadata service was not enabled, where it says
	// so. Often it says nothing.
	Disabled bool

	// Default is the id of the machine's default profile; empty: none.
	Default string
	// Linked are the ids of profiles that the machine is linked to, or fits.
	Linked []string
}
