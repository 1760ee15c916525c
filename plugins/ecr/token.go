package ecr

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/smithy-go"
	smithymiddleware "github.com/aws/smithy-go/middleware"

	"regcred/shared/cloudhttp"
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
	place := []string{"ecr", service, s.registry.partition, s.registry.region, flavour}
	return slices.Concat(place, s.identity.key(), s.environment)
}

// Fetch gets a token. The public registry is best effort: without credentials
// or permission the answer is to pull anonymously, which it allows.
func (s *source) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	if s.identity.anonymous {
		return credential.Anonymous(time.Now().Add(anonymousLife)), nil
	}
	for number := 1; ; number++ {
		a := attempt{source: s}
		c, err := a.fetch(ctx)
		if err == nil {
			return c, nil
		}
		p := dissect(err, a.exchange.seen())
		if s.registry.public && p.hopeless() {
			return credential.Anonymous(time.Now().Add(anonymousLife)), nil
		}
		wait, again := p.again(s.identity, number)
		if !again || cloudhttp.Sleep(ctx, wait) != nil {
			return credential.Credential{}, s.explain(p)
		}
	}
}

// attempt is one way through the SDK, with what was seen of its requests.
type attempt struct {
	*source
	exchange witness
}

func (a *attempt) fetch(ctx context.Context) (credential.Credential, error) {
	cfg, err := a.config(ctx)
	if err != nil {
		return credential.Credential{}, err
	}
	if a.registry.public {
		return a.fetchPublic(ctx, cfg)
	}
	client := ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint =
			a.flavour(o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint)
	})
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return credential.Credential{}, err
	}
	if len(out.AuthorizationData) == 0 {
		return credential.Credential{}, badAnswer(ecr.ServiceID, getToken, "holds no authorization data")
	}
	data := out.AuthorizationData[0]
	return decodeToken(ecr.ServiceID, data.AuthorizationToken, data.ExpiresAt, out.ResultMetadata)
}

func (a *attempt) fetchPublic(ctx context.Context, cfg aws.Config) (credential.Credential, error) {
	client := ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
		_, o.EndpointOptions.UseDualStackEndpoint =
			a.flavour(o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint)
		// There is no FIPS endpoint; the SDK would make up a name for one.
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
	})
	out, err := client.GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return credential.Credential{}, err
	}
	if out.AuthorizationData == nil {
		return credential.Credential{}, badAnswer(ecrpublic.ServiceID, getToken, "holds no authorization data")
	}
	return decodeToken(ecrpublic.ServiceID, out.AuthorizationData.AuthorizationToken, out.AuthorizationData.ExpiresAt, out.ResultMetadata)
}

// decodeToken takes base64 of "user:password" apart. The password is opaque
// and of no fixed size.
func decodeToken(service string, token *string, expires *time.Time, metadata smithymiddleware.Metadata) (credential.Credential, error) {
	plain, err := base64.StdEncoding.DecodeString(aws.ToString(token))
	if err != nil {
		return credential.Credential{}, badAnswer(service, getToken, "holds a token that is not base64")
	}
	username, password, found := strings.Cut(string(plain), ":")
	if !found || username == "" || password == "" {
		return credential.Credential{}, badAnswer(service, getToken, "holds a token that is not a user name and a password")
	}
	if expires == nil {
		return credential.Credential{}, badAnswer(service, getToken, "holds a token without an expiry")
	}
	end := byOwnClock(*expires, metadata)
	if dead := time.Since(end); dead >= 0 {
		return credential.Credential{}, badAnswer(service, getToken, fmt.Sprintf("holds a token that expired %s ago, at %s", dead.Round(time.Second), end.UTC().Format(time.RFC3339)))
	}
	return credential.Credential{Username: username, Password: credential.NewSecret(password), Expires: end}, nil
}

// badAnswer is the error of an answer that arrived and makes no sense, in the
// shape of the SDK's own.
func badAnswer(service, operation, what string) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: errors.New("the answer " + what)}
}

// getToken is the operation of both services that yields a token.
const getToken = "GetAuthorizationToken"

// byOwnClock translates a time that AWS stated into the node's clock.
func byOwnClock(t time.Time, metadata smithymiddleware.Metadata) time.Time {
	server, hasServer := middleware.GetServerTime(metadata)
	own, hasOwn := middleware.GetResponseAt(metadata)
	if !hasServer || !hasOwn {
		return t
	}
	return cloudhttp.ByOwnClock(t, server, own)
}
