package ecr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/file"
)

// config returns the SDK's configuration with the identity's credentials.
func (a *attempt) config(ctx context.Context) (aws.Config, error) {
	var cfg aws.Config
	options := []func(*config.LoadOptions) error{
		config.WithRegion(a.registry.region),
		config.WithAPIOptions([]func(*middleware.Stack) error{a.send}),
		config.WithRetryer(newRetryer),
		config.WithLogger(logging.Nop{}),
		// Of the others one asks the metadata service what it is to be.
		config.WithDefaultsMode(aws.DefaultsModeLegacy),
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) { o.Client = newInstance(a, &cfg) }),
		config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			if client, ok := o.Client.(*sts.Client); ok {
				o.Client = stsClient{a, client}
			}
		}),
		config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			if client, ok := o.Client.(*sts.Client); ok {
				o.Client = stsClient{a, client}
			}
		}),
	}
	if a.endpoints.caFile != "" {
		bundle, err := file.Read(a.endpoints.caFile)
		if err != nil {
			return aws.Config{}, bundleError{a.endpoints.caFile, err}
		}
		// The SDK reads no other once it has one.
		options = append(options, config.WithCustomCABundle(bytes.NewReader(bundle)))
	}
	switch {
	case a.identity.pod != nil:
		// The node's credentials are not even looked for.
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	case a.identity.profile != "":
		options = append(options, config.WithSharedConfigProfile(a.identity.profile))
	default:
		a.warnOfHalfAKey(ctx)
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("AWS configuration: %w", err)
	}
	for _, from := range loaded.ConfigSources {
		if shared, ok := from.(config.SharedConfig); ok {
			a.shared = shared
		}
	}
	a.recorder.Next = a.endpoints.router(a.shared)
	loaded.Credentials = a.own(loaded.Credentials)
	cfg = loaded
	if a.identity.role == noRole {
		return loaded, nil
	}
	session, err := a.assume(ctx, loaded)
	if err != nil {
		return aws.Config{}, err
	}
	loaded.Credentials = a.own(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return session, nil }))
	return loaded, nil
}

// own returns credentials of the SDK's chain as the plugin takes them.
func (a *attempt) own(credentials aws.CredentialsProvider) aws.CredentialsProvider {
	switch {
	case aws.IsCredentialsProvider(credentials, (*aws.AnonymousCredentials)(nil)):
		return credentials
	case aws.IsCredentialsProvider(credentials, (*processcreds.Provider)(nil)):
		return known{a.program()}
	default:
		return known{credentials}
	}
}

// known is credentials whose secrets are in no message, whoever repeats them.
type known struct{ aws.CredentialsProvider }

// Retrieve returns the credentials.
func (k known) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := k.CredentialsProvider.Retrieve(ctx)
	if err == nil && !c.HasKeys() {
		// The SDK would sign with it.
		err = errors.New("the answer holds no access key")
	}
	credential.NewSecret(c.SecretAccessKey)
	credential.NewSecret(c.SessionToken)
	return c, err
}

// send lets requests of the SDK take the plugin's own way. A client of ours as
// the configuration's would do so too, but the SDK refuses one wherever the
// environment or a profile names a bundle of certificate authorities.
func (a *attempt) send(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("regcred.Send",
		func(ctx context.Context, in middleware.DeserializeInput, _ middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			response, metadata, err := smithyhttp.NewClientHandlerWithOptions(a.recorder).Handle(ctx, in.Request)
			return middleware.DeserializeOutput{RawResponse: response}, metadata, err
		}), middleware.After)
}

// bundleError is the error of a bundle of certificate authorities.
type bundleError struct {
	path string
	err  error
}

func (e bundleError) Error() string {
	return "certificate authorities: " + e.path + ": " + e.err.Error()
}
func (e bundleError) Unwrap() error { return e.err }

// keyVariables are the variables of an access key, by the SDK's two names of
// either half.
var keyVariables = [2][2]string{{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"}, {"AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"}}

// halfAKey returns the variable of the half of an access key that is there, and
// that of the half that is not, or two empty strings.
func (e *endpoints) halfAKey() (there, missing string) {
	var set [2]string
	for half, names := range keyVariables {
		for _, name := range names {
			if e.getenv(name) != "" {
				set[half] = name
				break
			}
		}
	}
	switch {
	case set[0] != "" && set[1] == "":
		return set[0], keyVariables[1][0]
	case set[0] == "" && set[1] != "":
		return set[1], keyVariables[0][0]
	}
	return "", ""
}

// warnOfHalfAKey says what the SDK passes over without a word, to go on with the
// instance's role.
func (a *attempt) warnOfHalfAKey(ctx context.Context) {
	if there, missing := a.endpoints.halfAKey(); there != "" {
		cloudhttp.Log(ctx).Warn("half an access key is passed over", "set", there, "notSet", missing)
	}
}

// newRetryer leaves to the HTTP client what a status or a connection tells,
// and retries what only AWS's error codes tell: throttling and hiccups that
// come with status 400.
func newRetryer() aws.Retryer {
	codes := throttleCodes()
	for _, code := range []string{
		"IDPCommunicationError", "InvalidIdentityToken", // STS could not reach the issuer, or not yet
		"RequestTimeout", "RequestTimeoutException",
	} {
		codes[code] = struct{}{}
	}
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.Retryables = []retry.IsErrorRetryable{
			retry.NoRetryCanceledError{},
			retry.IsErrorRetryableFunc(retriedBelow),
			retry.RetryableErrorCode{Codes: codes},
			retry.RetryableError{}, // a skewed clock: the SDK signs again by the server's
		}
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return rand.N(min(500*time.Millisecond<<attempt, 5*time.Second)), nil
		})
	})
}

// throttleCodes are the codes with which AWS asks for a pause.
func throttleCodes() map[string]struct{} {
	codes := maps.Clone(retry.DefaultThrottleErrorCodes)
	for _, code := range []string{"ThrottleException", "TooManyRequests"} { // documented for ECR, unknown to the SDK
		codes[code] = struct{}{}
	}
	return codes
}

// retriedBelow refuses to repeat what was repeated already: by the HTTP client,
// or by the SDK for another service whose answer this call needs.
func retriedBelow(err error) aws.Ternary {
	if _, ok := errors.AsType[*smithy.OperationError](err); ok {
		return aws.FalseTernary
	}
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok &&
		(response.HTTPStatusCode() == http.StatusTooManyRequests || response.HTTPStatusCode() >= 500) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}
