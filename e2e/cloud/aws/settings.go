package aws

import "time"

// Settings is how the fake behaves. The zero value is an AWS in good order,
// with an instance that has no role.
type Settings struct {
	// Clock is how far the fake's clock is ahead of the machine's. It counts
	// for the Date header, for the window of signatures, for the expiry of
	// what the fake issued and for the times it answers.
	Clock time.Duration
	// Latency delays every answer of STS, ECR and ECR Public.
	Latency time.Duration

	Token     TokenSettings
	Instance  InstanceSettings
	Container ContainerSettings
}

// TokenSettings is what ECR and ECR Public answer to GetAuthorizationToken.
type TokenSettings struct {
	Life  time.Duration // zero: 12 hours; negative: expired when issued
	Shape TokenShape
}

// TokenShape is a way for an answer to be of no use.
type TokenShape int

// The first is of use; the others are what has to be refused.
const (
	Ordinary      TokenShape = iota
	NoExpiry                 // no expiresAt
	NoData                   // an empty authorizationData
	EmptyToken               // an authorizationToken of no characters
	NoColon                  // an authorizationToken that is not user:password
	EmptyPassword            // an authorizationToken that ends with the colon
)

// InstanceSettings is what the metadata service of the instance answers.
type InstanceSettings struct {
	Role   string // ARN of the instance's role; empty: none is attached
	Region string // empty: us-east-1

	// EmptyLists is how many more times the list of roles is answered empty,
	// as on an instance that has just started.
	EmptyLists int
	// CredentialsCode is the outcome in the credentials document; empty:
	// Success. Any other one comes without credentials.
	CredentialsCode string
	CredentialsLife time.Duration // zero: 6 hours

	Disabled   bool // the service answers 403 to everything
	HopLimited bool // the answers to token requests never arrive
}

// ContainerSettings is what the container credentials endpoint answers.
type ContainerSettings struct {
	Role          string // ARN; empty: no credentials
	Authorization string // the only Authorization header that is accepted
}
