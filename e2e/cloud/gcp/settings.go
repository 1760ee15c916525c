package gcp

import (
	"time"

	"regcred/e2e/cloud/fake"
)

// Settings is how the fake behaves. The zero value is a Google Cloud in good
// order, with an instance that has no service account.
type Settings struct {
	// Clock is how far the fake's clock is ahead of the machine's. It counts
	// for the Date header, for the expiry of what the fake is shown and for
	// the times it answers; "expires_in" is a duration and knows no clock.
	Clock time.Duration

	Metadata       MetadataSettings
	STS            fake.TokenSettings
	IAMCredentials fake.TokenSettings
	OAuth2         fake.TokenSettings
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

	Token fake.TokenSettings
	// RenewBefore is how long before its end the server stops repeating a
	// token. Zero: five minutes.
	RenewBefore time.Duration

	Disabled bool // the server answers 403 to everything
	Unmarked bool // answers are without Metadata-Flavor, as those of GKE's server have been
	Impostor bool // what answers is another cloud's server, which knows no such path
}
