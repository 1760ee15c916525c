package ecr

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// sessionLife is the life of a role session, STS's shortest: it is used once,
// to ask for a registry token, and never stored.
const sessionLife = 15 * time.Minute

// assume exchanges the identity for a session of its role: a pod's own token,
// or the node's credentials that the configuration has.
func (a *attempt) assume(ctx context.Context, cfg aws.Config) (aws.Credentials, error) {
	client := stsClient{a, sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint =
			a.registry.flavour(o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint)
	})}
	i, seconds := a.identity, aws.Int32(int32(sessionLife/time.Second))
	if i.pod != nil {
		out, err := client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
			RoleArn:          aws.String(i.role.arn),
			RoleSessionName:  aws.String(sessionName(i.pod.Namespace + "." + i.pod.Name)),
			WebIdentityToken: aws.String(i.pod.Reveal()),
			DurationSeconds:  seconds,
		})
		if err != nil {
			return aws.Credentials{}, err
		}
		return session(out.Credentials), nil
	}
	host, _ := os.Hostname()
	input := &sts.AssumeRoleInput{
		RoleArn:         aws.String(i.role.arn),
		RoleSessionName: aws.String(sessionName(host)),
		DurationSeconds: seconds,
	}
	if i.externalID != "" {
		input.ExternalId = aws.String(i.externalID)
	}
	out, err := client.AssumeRole(ctx, input)
	if err != nil {
		return aws.Credentials{}, err
	}
	return session(out.Credentials), nil
}

func session(c *types.Credentials) aws.Credentials {
	return aws.Credentials{
		AccessKeyID:     *c.AccessKeyId,
		SecretAccessKey: *c.SecretAccessKey,
		SessionToken:    *c.SessionToken,
		Source:          "regcred",
	}
}

// stsClient is the SDK's client of STS as every session is asked for with it,
// also those of the SDK's own chain: the request is signed for the region of
// the endpoint, and what comes back is complete, on which the chain relies, and
// names the caller.
type stsClient struct {
	attempt *attempt
	*sts.Client
}

// AssumeRole asks for a session with the client's credentials.
func (c stsClient) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput, options ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	out, err := c.Client.AssumeRole(ctx, in, append(options, c.options)...)
	if err != nil {
		return nil, err
	}
	return out, c.received("AssumeRole", out.Credentials, out.AssumedRoleUser)
}

// AssumeRoleWithWebIdentity asks for a session with a token.
func (c stsClient) AssumeRoleWithWebIdentity(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput, options ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	out, err := c.Client.AssumeRoleWithWebIdentity(ctx, in, append(options, c.options)...)
	if err != nil {
		return nil, err
	}
	return out, c.received("AssumeRoleWithWebIdentity", out.Credentials, out.AssumedRoleUser)
}

func (c stsClient) options(o *sts.Options) {
	if o.BaseEndpoint != nil {
		o.Region = c.attempt.endpoints.stsRegion(*o.BaseEndpoint, c.attempt.shared, c.attempt.registry)
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateUnset
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateUnset
	}
	if o.Credentials != nil {
		o.Credentials = c.attempt.own(o.Credentials)
	}
}

func (c stsClient) received(operation string, session *types.Credentials, user *types.AssumedRoleUser) error {
	if session == nil || session.Expiration == nil ||
		aws.ToString(session.AccessKeyId) == "" || aws.ToString(session.SecretAccessKey) == "" || aws.ToString(session.SessionToken) == "" {
		return badAnswer(sts.ServiceID, operation, "the answer holds no credentials")
	}
	if user != nil && user.Arn != nil {
		c.attempt.caller.Store(user.Arn)
	}
	return nil
}
