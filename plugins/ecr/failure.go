package ecr

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// problem is what an error of the SDK says, taken apart: which service failed
// at what, and how, beside the last reply of any.
type problem struct {
	*attempt
	reply              cloudhttp.Reply
	service, operation string
	code, text         string
	requestID          string
	cause              error
}

// diagnose looks through the SDK's layers. The innermost operation is the one
// that failed: ECR's fails because STS's did, and that because of IMDS's.
func (a *attempt) diagnose(err error) problem {
	p := problem{attempt: a, reply: a.recorder.Last(), cause: err}
	inner := err
	for {
		var operation *smithy.OperationError
		if !errors.As(inner, &operation) {
			break
		}
		p.service, p.operation, inner = serviceName(operation.ServiceID), operation.OperationName, operation.Err
	}
	p.text = inner.Error()
	if _, after, found := strings.Cut(p.text, "failed to get API token, "); found {
		// The SDK hides the layers of this one.
		p.operation, p.text = imdsToken, after
	}

	var (
		identified *awshttp.ResponseError
		api        smithy.APIError
		transport  *url.Error
		unreadable *smithy.DeserializationError
		plain      *smithyhttp.ResponseError
	)
	if errors.As(err, &identified) {
		p.requestID = identified.ServiceRequestID()
	}
	switch {
	case errors.As(err, &unreadable):
		p.text = "the answer cannot be read: " + unreadable.Err.Error()
	case errors.As(err, &api):
		p.code, p.text = api.ErrorCode(), api.ErrorMessage()
	case errors.As(err, &transport):
		p.text = transport.Err.Error()
	case errors.As(err, &plain):
		p.text = plain.Err.Error()
	}
	// The SDK's own word for an answer without a code, or without a text.
	if p.code == unknownError {
		p.code = ""
	}
	if p.text == unknownError {
		p.text = ""
	}
	p.setStage()
	return p
}

const (
	serviceConfiguration = "AWS configuration"
	serviceCredentials   = "credentials"
	serviceIMDS          = "imds"
	serviceContainer     = "container credentials"
	serviceProgram       = "credential_process"
	serviceSTS           = "sts"
	servicePublic        = "ecr-public"
)

func serviceName(id string) string {
	switch id {
	case "ec2imds":
		return serviceIMDS
	case "ECR PUBLIC":
		return servicePublic
	default:
		return strings.ToLower(id)
	}
}

// setStage names what failed, for messages. Failures of the chain's sources
// pass for the caller's; where the last request went tells them apart.
func (p *problem) setStage() {
	host, _, err := net.SplitHostPort(p.reply.Host)
	if err != nil {
		host = p.reply.Host
	}
	text, signing := strings.CutPrefix(p.text, "get identity: get credentials: ")
	text, refreshing := strings.CutPrefix(text, "failed to refresh cached credentials, ")
	inChain := signing || refreshing
	p.text = text
	switch {
	case p.service == "" && host == "" && !inChain:
		p.service, p.text = serviceConfiguration, strings.TrimPrefix(p.text, "AWS configuration: ")
	case p.service == serviceIMDS || p.service == serviceProgram:
	case host == imdsAddress || host == imdsAddress6 || strings.Contains(p.cause.Error(), "EC2 IMDS role"):
		p.service, p.operation = serviceIMDS, ""
	case strings.HasPrefix(host, "169.254.") || host == "fd00:ec2::23":
		p.service, p.operation = serviceContainer, ""
	case p.service == "" || inChain && host == "":
		p.service, p.operation = serviceCredentials, ""
	}
	p.reply.Stage = strings.TrimSpace(p.service + " " + p.operation)
}

// refusals are the codes for which trying again changes nothing until somebody
// changes something.
var refusals = []string{
	"AccessDenied", "AccessDeniedException", "UnsupportedCommandException", "InvalidParameterException",
	"UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken", "ExpiredTokenException",
	"InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "IncompleteSignatureException",
	"MissingAuthenticationToken", "MissingAuthenticationTokenException", "OptInRequired", "SubscriptionRequiredException",
	"InvalidIdentityToken", "IDPRejectedClaim", "RegionDisabledException", "MalformedPolicyDocument", "PackedPolicyTooLarge", "ValidationError",
}

// refused reports whether somebody has no credentials or no token to give,
// whatever the code: throttling and hiccups come with other statuses.
func (p problem) refused() bool {
	return p.service == serviceCredentials || slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}, p.reply.Status)
}

// unreachable reports whether somebody was asked and there was no answer.
func (p problem) unreachable() bool {
	return p.reply.Err != nil && !errors.Is(p.reply.Err, context.Canceled)
}

// senseless reports whether somebody answered with what is no answer of AWS.
func (p problem) senseless() bool {
	return p.reply.OK() && !errors.Is(p.cause, credential.ErrExpired)
}

// again says whether and when to start over with new credentials.
func (p problem) again(attempt int) (wait time.Duration, again bool) {
	rotated := p.code == "ExpiredTokenException" || p.code == "ExpiredToken" || p.code == "UnrecognizedClientException"
	switch {
	case p.noInstanceRole() && attempt <= 3:
		// A node that just booted may get its role some seconds later.
		return time.Second, true
	case rotated && p.identity.pod == nil && attempt == 1:
		// The node's credentials were rotated while they were read.
		return 0, true
	}
	return 0, false
}

// explain makes the failure that an operator reads.
func (p problem) explain() *credential.Failure {
	said := cloudhttp.Said{Code: p.code, Text: cloudhttp.Bounded(p.text, 400)}
	if p.requestID != "" {
		said.ID = "request id " + p.requestID
	}
	d := p.diagnosis()
	if d.Problem == "" || d.Problem == p.text {
		d.Problem, said.Text = said.Text, ""
	}
	if d.Problem == "" {
		d.Problem = "AWS refuses the request"
	}
	caller := p.identity.String()
	if known := p.caller.Load(); known != nil {
		caller += " (" + *known + ")"
	}
	failure := p.reply.Failure(d, said, caller)
	failure.Err = p.cause
	failure.Permanent = d.Permanent || slices.Contains(refusals, p.code)
	return failure
}

// diagnosis says what is wrong, and what to do where that is not plain.
func (p problem) diagnosis() cloudhttp.Diagnosis {
	if d, found := p.diagnoseEndpoint(); found {
		return d
	}
	_, throttled := throttleCodes()[p.code]
	switch {
	case p.service == serviceConfiguration:
		return p.diagnoseConfiguration()
	case p.service == serviceIMDS || p.noInstanceRole():
		return p.diagnoseMetadata()
	case p.service == serviceProgram:
		return p.diagnoseProgram()
	case errors.Is(p.cause, credential.ErrExpired):
		return cloudhttp.Diagnosis{Problem: "the token that ECR answered with has already expired", Advice: "check the node's clock"}
	case throttled:
		return cloudhttp.Diagnosis{Problem: "AWS throttles this account", Advice: "the next attempt is made after a pause"}
	}
	for _, diagnose := range []func() (cloudhttp.Diagnosis, bool){p.diagnoseSetting, p.diagnoseRefusal, p.diagnoseName} {
		if d, found := diagnose(); found {
			return d
		}
	}
	if p.reply.Host == "" {
		return cloudhttp.Diagnosis{}
	}
	service := "AWS"
	if p.service == serviceContainer {
		service = "the service of container credentials"
	}
	d, found := p.reply.Diagnose(cloudhttp.Service{Name: service})
	_, unreadable := errors.AsType[*smithy.DeserializationError](p.cause)
	switch {
	case found:
	case unreadable:
		d = cloudhttp.Diagnosis{
			Problem:   p.reply.Host + " does not answer as " + service + " does",
			Advice:    "something else may answer in its place: check proxies and endpoints",
			Permanent: true,
		}
	case p.code == "" && p.text == "":
		d.Problem = service + " refuses the request without saying why"
	}
	return d
}

// unknownError is the SDK's code, and its text, for an answer that has none.
const unknownError = "UnknownError"

// diagnoseProgram is about a program that a profile gets its credentials from.
func (p problem) diagnoseProgram() cloudhttp.Diagnosis {
	d := cloudhttp.Diagnosis{Problem: p.text}
	if strings.Contains(p.text, "exit status") || strings.Contains(p.text, "printed no credentials") {
		d.Advice = "run it by hand as the kubelet's user"
	}
	return d
}

// diagnoseName is about names that the SDK makes up by the rules of AWS, and
// that do not exist: not every region has every kind of endpoint.
func (p problem) diagnoseName() (cloudhttp.Diagnosis, bool) {
	lookup, ok := errors.AsType[*net.DNSError](p.reply.Err)
	host, region := p.reply.Host, p.registry.region
	if !ok || !lookup.IsNotFound || !slices.Contains(strings.Split(host, "."), region) {
		return cloudhttp.Diagnosis{}, false
	}
	asked := func(by bool, variable string) string {
		if by {
			return "the image's host asks for it"
		}
		return variable + " asks for it"
	}
	const zones = "; if there is one, check the node's private DNS zones"
	d := cloudhttp.Diagnosis{Problem: host + " has no address in DNS"}
	switch {
	case strings.Contains(host, "-fips."):
		d.Advice = "there may be no FIPS endpoint in " + region + "; " + asked(p.registry.fips, "AWS_USE_FIPS_ENDPOINT") + zones
	case strings.Contains(host, ".api.") && !strings.HasPrefix(host, "api."):
		d.Advice = "there may be no dual-stack endpoint in " + region + "; " + asked(p.registry.dualStack, "AWS_USE_DUALSTACK_ENDPOINT") + zones
	default:
		d.Advice = "is there a region " + region + "? If so, check the node's private DNS zones"
	}
	return d, true
}

// noInstanceRole reports whether the metadata service answers and has no role
// for the instance, or none yet.
func (p problem) noInstanceRole() bool {
	return p.service == serviceIMDS && p.reply.Status == http.StatusNotFound && p.operation != imdsToken ||
		strings.Contains(p.cause.Error(), "empty EC2 IMDS role list")
}
