package ecr

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	smithy "github.com/aws/smithy-go/middleware"

	"regcred/shared/credential"
)

// anonymousLife is for how long the public registry is pulled from without a
// credential before one is asked for again.
const anonymousLife = 5 * time.Minute

// source asks ECR for a registry token with one identity.
type source struct {
	registry    registry
	identity    identity
	caFile      string
	environment []string
}

// Key holds the region and not the account: a token is good for every registry
// that its owner may read. Tokens of FIPS and dual-stack endpoints are kept
// apart, since it is not documented that they can be exchanged.
func (s *source) Key() credential.Key {
	service, flavour := "private", "classic"
	if s.registry.public {
		service = "public"
	}
	switch {
	case s.registry.fips && s.registry.dualStack:
		flavour = "fips dual-stack"
	case s.registry.fips:
		flavour = "fips"
	case s.registry.dualStack:
		flavour = "dual-stack"
	}
	key := credential.Key{"ecr", service, s.registry.partition, s.registry.region, flavour}
	key = append(key, s.identity.key()...)
	return append(key, s.environment...)
}

// Fetch gets a token. The public registry is best effort: without credentials
// or permission the answer is to pull anonymously, which it allows.
func (s *source) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	if s.identity.anonymous {
		return credential.Anonymous(time.Now().Add(anonymousLife)), nil
	}
	for attempt := 1; ; attempt++ {
		c, err := s.fetch(ctx)
		if err == nil {
			return c, nil
		}
		if s.registry.public && isRefusal(err) {
			return credential.Anonymous(time.Now().Add(anonymousLife)), nil
		}
		wait, again := s.again(err, attempt)
		if !again || sleep(ctx, wait) != nil {
			return credential.Credential{}, s.explain(err)
		}
	}
}

func (s *source) fetch(ctx context.Context) (credential.Credential, error) {
	cfg, err := s.config(ctx)
	if err != nil {
		return credential.Credential{}, err
	}
	if s.registry.public {
		return s.fetchPublic(ctx, cfg)
	}
	client := ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint =
			s.flavour(o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint)
	})
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return credential.Credential{}, err
	}
	if len(out.AuthorizationData) == 0 {
		return credential.Credential{}, errors.New("ecr: the answer holds no authorization data")
	}
	data := out.AuthorizationData[0]
	return decodeToken(data.AuthorizationToken, data.ExpiresAt, out.ResultMetadata)
}

func (s *source) fetchPublic(ctx context.Context, cfg aws.Config) (credential.Credential, error) {
	client := ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
		_, o.EndpointOptions.UseDualStackEndpoint =
			s.flavour(o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint)
		// There is no FIPS endpoint; the SDK would make up a name for one.
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
	})
	out, err := client.GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return credential.Credential{}, err
	}
	if out.AuthorizationData == nil {
		return credential.Credential{}, errors.New("ecr-public: the answer holds no authorization data")
	}
	return decodeToken(out.AuthorizationData.AuthorizationToken, out.AuthorizationData.ExpiresAt, out.ResultMetadata)
}

// decodeToken takes base64 of "user:password" apart. The password is opaque
// and of no fixed size.
func decodeToken(token *string, expires *time.Time, metadata smithy.Metadata) (credential.Credential, error) {
	plain, err := base64.StdEncoding.DecodeString(aws.ToString(token))
	if err != nil {
		return credential.Credential{}, errors.New("ecr: the authorization token is not base64")
	}
	username, password, found := strings.Cut(string(plain), ":")
	if !found || username == "" || password == "" {
		return credential.Credential{}, errors.New("ecr: the authorization token is not a user name and a password")
	}
	if expires == nil {
		return credential.Credential{}, errors.New("ecr: the authorization token has no expiry")
	}
	return credential.Credential{
		Username: username,
		Password: credential.NewSecret(password),
		Expires:  byOwnClock(*expires, metadata),
	}, nil
}

// byOwnClock translates a time that AWS stated into the node's clock, where the
// two are apart: a node that is behind would use a token past its end.
func byOwnClock(t time.Time, metadata smithy.Metadata) time.Time {
	server, hasServer := middleware.GetServerTime(metadata)
	own, hasOwn := middleware.GetResponseAt(metadata)
	if !hasServer || !hasOwn {
		return t
	}
	// The server's clock is told in whole seconds and after a way.
	if skew := server.Sub(own); skew.Abs() > time.Minute {
		return t.Add(-skew)
	}
	return t
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
