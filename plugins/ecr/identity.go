package ecr

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regcred/shared/cloudhttp"
	"regcred/shared/settings"
)

// sessionLife is the life of a role session, STS's shortest: it is used once,
// to ask for a registry token, and never stored.
const sessionLife = 15 * time.Minute

// imdsAddress is where the instance metadata service is.
const imdsAddress = "169.254.169.254"

// imdsHeaders mark requests to the instance metadata service, whose address
// can be configured.
var imdsHeaders = []string{"X-Aws-Ec2-Metadata-Token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"}

// config returns the SDK's configuration with the identity's credentials.
func (a *attempt) config(ctx context.Context) (aws.Config, error) {
	api, err := cloudhttp.API(a.caFile)
	if err != nil {
		return aws.Config{}, err
	}
	// The SDK reads its own environment. Of these it would make a client of
	// its own, for a bundle that ours has already, and a fall-back to version
	// 1 of the instance metadata service, which any request that the node's
	// workloads can forge reaches.
	_ = os.Unsetenv("AWS_CA_BUNDLE")
	_ = os.Setenv("AWS_EC2_METADATA_V1_DISABLED", "true")

	a.exchange.client = cloudhttp.Router{Metadata: cloudhttp.Metadata(), API: api, Headers: imdsHeaders}
	options := []func(*config.LoadOptions) error{
		config.WithRegion(a.registry.region),
		config.WithHTTPClient(&a.exchange),
		config.WithRetryer(newRetryer),
		config.WithLogger(logging.Nop{}),
		// The SDK asks the container credentials endpoint with a client of its
		// own, through whatever proxy the environment names.
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = &a.exchange }),
	}
	if a.identity.pod != nil {
		// The node's credentials are not even looked for.
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		if strings.Contains(err.Error(), "custom RootCAs") {
			err = errors.New("ca_bundle in a profile is not supported: use --ca-file or AWS_CA_BUNDLE")
		}
		return aws.Config{}, fmt.Errorf("AWS configuration: %w", err)
	}
	if a.identity.role.arn == "" {
		return cfg, nil
	}
	client := sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint =
			a.flavour(o.BaseEndpoint, o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint)
	})
	session, err := a.identity.assume(ctx, client)
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
		return session("AssumeRoleWithWebIdentity", out.Credentials)
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
	return session("AssumeRole", out.Credentials)
}

// session returns what STS answered, if it is complete.
func session(operation string, c *types.Credentials) (aws.Credentials, error) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || aws.ToString(c.SessionToken) == "" {
		return aws.Credentials{}, badAnswer(sts.ServiceID, operation, "holds no credentials")
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
		if !settings.IsFrom(string(name[i]), "+=,.@-_") {
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
			retry.IsErrorRetryableFunc(retriedBelow),
			retry.RetryableErrorCode{Codes: codes},
			retry.RetryableError{}, // a skewed clock: the SDK signs again by the server's
			retry.IsErrorRetryableFunc(brokenOff),
		}
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return rand.N(min(500*time.Millisecond<<attempt, 5*time.Second)), nil
		})
	})
}

// retriedBelow refuses to repeat what was repeated already: by the HTTP client,
// or by the SDK for another service whose answer this call needs.
func retriedBelow(err error) aws.Ternary {
	var other *smithy.OperationError
	if errors.As(err, &other) {
		return aws.FalseTernary
	}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && (response.HTTPStatusCode() == http.StatusTooManyRequests || response.HTTPStatusCode() >= 500) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// brokenOff repeats a call whose answer ended in its middle: the HTTP client
// only sees answers begin.
func brokenOff(err error) aws.Ternary {
	return aws.BoolTernary(errors.Is(err, io.ErrUnexpectedEOF))
}
