package ecr

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/smithy-go"

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
	endpoints   *endpoints
	environment []string
}

// String says who is asked for what, and as whom.
func (s *source) String() string {
	return "ECR for " + s.registry.String() + " as " + s.identity.String()
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
	endpoint := []string{"ecr", service, s.registry.partition, s.registry.region, flavour}
	return slices.Concat(endpoint, s.identity.key(), s.environment)
}

// Fetch gets a token. The public registry is best effort: where there are no
// credentials, they have no permission, or AWS is out of reach, the answer is to
// pull anonymously, which it allows. A service that is there and has a fault may
// be well in a moment.
func (s *source) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	for number := 1; ; number++ {
		a := newAttempt(ctx, s)
		c, err := a.fetch(ctx)
		if err == nil {
			return c, nil
		}
		p := a.diagnose(err)
		failure := p.explain()
		if s.registry.public && (failure.Permanent && p.service != serviceConfiguration || p.refused() || p.unreachable() || p.senseless()) {
			cloudhttp.Log(ctx).Info("no token of the public registry: pulls are anonymous", "reason", failure)
			return anonymous{}.Fetch(ctx, getter)
		}
		wait, again := p.again(number)
		if !again || cloudhttp.Sleep(ctx, wait) != nil {
			return credential.Credential{}, failure
		}
	}
}

// anonymous asks nobody: the public registry needs no credential.
type anonymous struct{}

func (anonymous) String() string      { return "the public registry without a credential" }
func (anonymous) Key() credential.Key { return credential.Key{"ecr", "public", "anonymous"} }

// Fetch returns the anonymous credential.
func (anonymous) Fetch(context.Context, credential.Getter) (credential.Credential, error) {
	return credential.Anonymous(time.Now().Add(anonymousLife)), nil
}

// attempt is one way through the SDK, with what was seen on it.
type attempt struct {
	*source
	recorder *cloudhttp.Recorder

	// shared is what the AWS configuration files say, once they were read.
	shared config.SharedConfig

	// caller is whom AWS took the asker for, as far as it said so. The SDK asks
	// for credentials from a goroutine of its own.
	caller atomic.Pointer[string]
}

func newAttempt(ctx context.Context, s *source) *attempt {
	// The SDK takes the deadline off what it asks for credentials.
	return &attempt{source: s, recorder: &cloudhttp.Recorder{Context: ctx}}
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
			a.registry.flavour(o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint)
	})
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return credential.Credential{}, err
	}
	if len(out.AuthorizationData) == 0 {
		return credential.Credential{}, badAnswer(ecr.ServiceID, getToken, "the answer holds no authorization data")
	}
	data := out.AuthorizationData[0]
	return a.credential(ecr.ServiceID, data.AuthorizationToken, data.ExpiresAt, callersAccount(data.ProxyEndpoint))
}

func (a *attempt) fetchPublic(ctx context.Context, cfg aws.Config) (credential.Credential, error) {
	client := ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
		_, o.EndpointOptions.UseDualStackEndpoint =
			a.registry.flavour(o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint)
		// There is no FIPS endpoint; the SDK would make up a name for one.
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
	})
	out, err := client.GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return credential.Credential{}, err
	}
	if out.AuthorizationData == nil {
		return credential.Credential{}, badAnswer(ecrpublic.ServiceID, getToken, "the answer holds no authorization data")
	}
	return a.credential(ecrpublic.ServiceID, out.AuthorizationData.AuthorizationToken, out.AuthorizationData.ExpiresAt, "")
}

// credential takes base64 of "user:password" apart. The password is opaque and
// of no fixed size.
func (a *attempt) credential(service string, token *string, expires *time.Time, account string) (credential.Credential, error) {
	plain, err := base64.StdEncoding.DecodeString(aws.ToString(token))
	if err != nil {
		return credential.Credential{}, badAnswer(service, getToken, "the answer holds a token that is not base64")
	}
	username, password, found := strings.Cut(string(plain), ":")
	if !found || username == "" || password == "" {
		return credential.Credential{}, badAnswer(service, getToken, "the answer holds a token that is not a user name and a password")
	}
	end := aws.ToTime(expires)
	if !end.IsZero() {
		end = a.recorder.Last().OwnTime(end)
	}
	checked, err := credential.NewToken(password, end)
	if err != nil {
		return credential.Credential{}, badAnswerError(service, getToken, err)
	}
	return credential.Credential{Username: username, Password: checked.Value, Expires: checked.Expires, Caller: a.askedAs(account)}, nil
}

// askedAs says as whom AWS answered. What has no ARN is named by its account,
// where that is known.
func (a *attempt) askedAs(account string) string {
	caller := ""
	if known := a.caller.Load(); known != nil {
		caller = *known
	}
	switch {
	case account == "" || strings.HasPrefix(caller, "arn:"):
		return caller
	case caller == "":
		return "an identity of account " + account
	default:
		return caller + " of account " + account
	}
}

// callersAccount returns the account of the registry that ECR names beside a
// token: that of the asker, whichever the image's is.
func callersAccount(endpoint *string) string {
	parsed, err := url.Parse(aws.ToString(endpoint))
	if err != nil {
		return ""
	}
	account, _, _ := strings.Cut(parsed.Host, ".")
	if !isAccount(account) {
		return ""
	}
	return account
}

// badAnswer is the error of an answer that arrived and makes no sense, in the
// shape of the SDK's own.
func badAnswer(service, operation, what string) error {
	return badAnswerError(service, operation, errors.New(what))
}

func badAnswerError(service, operation string, err error) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: err}
}

// getToken is the operation of both services that yields a token.
const getToken = "GetAuthorizationToken"
