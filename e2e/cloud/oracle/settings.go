package oracle

import (
	"time"

	"regcred/e2e/cloud/fake"
)

// Settings is how the fake behaves. The zero value is a realm in good order.
type Settings struct {
	// Clock is how far the fake's clock is ahead of the machine's. It counts for
	// the Date header, for the dates of signatures, for what the fake is shown and
	// for the times it answers; "expires_in" is a duration and knows no clock.
	Clock time.Duration

	// NoIdentity makes the metadata service have no certificate, as of an
	// instance that has just started.
	NoIdentity bool

	// Federation, Registry, Domain and Cluster are what the services answer that
	// issue tokens.
	Federation, Registry, Domain, Cluster fake.TokenSettings
}
