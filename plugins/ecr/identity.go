package ecr

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"regcred/shared/cloudhttp"
)

// sessionLife is the life of a role session, STS's shortest: it is used once,
// to ask for a registry token, and never stored.
const sessionLife = 15 * time.Minute

// config returns the SDK's configuration with the identity's credentials.
func (s *source) config(ctx context.Context) (aws.Config, error) {
	api, err := cloudhttp.API(s.caFile)
	if err != nil {
		return aws.Config{}, err
	}
	// What the SDK would do by itself with these: build a client of its own
	// for the bundle, which ours has already, and fall back to version 1 of
	// the instance metadata service, which any request forged by the node's
	// workloads can reach.
	_ = os.Unsetenv("AWS_CA_BUNDLE")
	_ = os.Setenv("AWS_EC2_METADATA_V1_DISABLED", "true")

	options := []func(*config.LoadOptions) error{
		config.WithRegion(s.registry.region),
		config.WithHTTPClient(cloudhttp.Router{Metadata: cloudhttp.Metadata(), API: api}),
		config.WithRetryer(newRetryer),
	}
	if s.identity.pod != nil {
		// The node's credentials are not even looked for.
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("AWS configuration: %w", err)
	}
	if s.identity.role.arn == "" {
		return cfg, nil
	}
	client := sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint =
			s.flavour(o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint)
	})
	session, err := s.identity.assume(ctx, client)
	if err != nil {
		return aws.Config{}, err
	}
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return session, nil })
	return cfg, nil
}

// flavour returns which kind of API endpoint goes with the registry's host: a
// FIPS or dual-stack host asks for an endpoint of the same kind, and otherwise
// the environment's choice stands. An endpoint that was configured is used as
// it is; the SDK refuses to combine the two.
func (s *source) flavour(endpoint *string, fips aws.FIPSEndpointState, dualStack aws.DualStackEndpointState) (aws.FIPSEndpointState, aws.DualStackEndpointState) {
	if endpoint != nil {
		return aws.FIPSEndpointStateUnset, aws.DualStackEndpointStateUnset
	}
	if s.registry.fips {
		fips = aws.FIPSEndpointStateEnabled
	}
	if s.registry.dualStack {
		dualStack = aws.DualStackEndpointStateEnabled
	}
	return fips, dualStack
}

// assume exchanges the identity for a session of its role: a pod's own token,
// or the node's credentials that the client was made with.
func (i identity) assume(ctx context.Context, client *sts.Client) (aws.Credentials, error) {
	seconds := aws.Int32(int32(sessionLife / time.Second))
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
		return session(out.Credentials)
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
	return session(out.Credentials)
}

// session returns what STS answered, if it is complete.
func session(c *types.Credentials) (aws.Credentials, error) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || aws.ToString(c.SessionToken) == "" {
		return aws.Credentials{}, errors.New("sts: the answer holds no credentials")
	}
	return aws.Credentials{
		AccessKeyID:     *c.AccessKeyId,
		SecretAccessKey: *c.SecretAccessKey,
		SessionToken:    *c.SessionToken,
		Source:          "regcred",
	}, nil
}

// sessionName makes the name that CloudTrail shows for a session. STS allows
// 64 characters; a longer name keeps its beginning and gets a hash of the
// whole, so that two of them stay apart.
func sessionName(who string) string {
	const longest = 64
	name := []byte("regcred." + who)
	for i := range name {
		if !isFrom(string(name[i]), "+=,.@-_") {
			name[i] = '-'
		}
	}
	if len(name) <= longest {
		return string(name)
	}
	sum := sha256.Sum256([]byte(who))
	hash := hex.EncodeToString(sum[:4])
	return string(name[:longest-len(hash)-1]) + "-" + hash
}

// newRetryer leaves to the HTTP client what a status or a connection tells,
// and retries what only AWS's error codes tell: throttling and hiccups that
// come with status 400.
func newRetryer() aws.Retryer {
	codes := map[string]struct{}{
		"ThrottleException": {}, "TooManyRequests": {}, // documented for ECR, unknown to the SDK
		"IDPCommunicationError": {}, "InvalidIdentityToken": {}, // STS could not reach the issuer, or not yet
		"RequestTimeout": {}, "RequestTimeoutException": {},
	}
	for code := range retry.DefaultThrottleErrorCodes {
		codes[code] = struct{}{}
	}
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.Retryables = []retry.IsErrorRetryable{
			retry.NoRetryCanceledError{},
			retry.IsErrorRetryableFunc(retriedByClient),
			retry.RetryableErrorCode{Codes: codes},
		}
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return rand.N(min(500*time.Millisecond<<attempt, 5*time.Second)), nil
		})
	})
}

// retriedByClient refuses to repeat what the HTTP client has repeated already.
func retriedByClient(err error) aws.Ternary {
	var response *awshttp.ResponseError
	if errors.As(err, &response) && (response.HTTPStatusCode() == http.StatusTooManyRequests || response.HTTPStatusCode() >= 500) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}
