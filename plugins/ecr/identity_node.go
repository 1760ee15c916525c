package ecr

import (
	"cmp"
	"context"
	"time"

	"regcred/shared/credential"
)

var _ credential.NodeIdentifier = (*provider)(nil)

// NodeIdentity returns the source of the node's AWS credentials, as the SDK's
// chain finds them.
func (p *provider) NodeIdentity() (credential.TokenSource, error) {
	region := cmp.Or(p.endpoints.getenv("AWS_REGION"), p.endpoints.getenv("AWS_DEFAULT_REGION"), "us-east-1")
	return nodeCredentials{p.source(registry{region: region}, identity{})}, nil
}

// nodeCredentials are an access key, of which the token is the secret.
type nodeCredentials struct{ source *source }

func (n nodeCredentials) String() string {
	return "AWS's chain of credentials as " + n.source.identity.String()
}

func (n nodeCredentials) Key() credential.Key {
	return append(credential.Key{"ecr", "node"}, n.source.environment...)
}

// Fetch asks whoever has them.
func (n nodeCredentials) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	a := newAttempt(ctx, n.source)
	cfg, err := a.config(ctx)
	if err != nil {
		return credential.Token{}, a.diagnose(err).explain()
	}
	c, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return credential.Token{}, a.diagnose(err).explain()
	}
	expires := time.Now().Add(credential.MaxLife) // of what does not end by itself
	if c.CanExpire {
		expires = c.Expires
	}
	return credential.Token{Value: credential.NewSecret(c.SecretAccessKey), Expires: expires, Caller: a.askedAs(c.AccountID)}, nil
}
