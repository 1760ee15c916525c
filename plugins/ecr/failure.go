package ecr

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// problem is what an error of the SDK says, taken apart: which service failed
// at what, where, and how.
type problem struct {
	service, operation string
	host               string
	status             int
	code, message      string
	requestID          string
	retryAfter         time.Duration
	err                error
}

// dissect looks through the SDK's layers. The innermost operation is the one
// that failed: ECR's fails because STS's did, and that because of IMDS's.
func dissect(err error) problem {
	p := problem{err: err}
	for e := err; e != nil; {
		var operation *smithy.OperationError
		if !errors.As(e, &operation) {
			break
		}
		p.service, p.operation, e = serviceName(operation.ServiceID), operation.OperationName, operation.Err
		p.err = operation.Err
	}
	var identified *awshttp.ResponseError
	if errors.As(err, &identified) {
		p.requestID = identified.ServiceRequestID()
	}
	var answered *smithyhttp.ResponseError
	if errors.As(err, &answered) && answered.Response != nil && answered.Response.Response != nil {
		p.status = answered.HTTPStatusCode()
		p.retryAfter = cloudhttp.RetryAfter(answered.Response.Header, time.Now())
		if request := answered.Response.Request; request != nil {
			p.host = request.URL.Host
		}
		p.err = answered.Err
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		p.code, p.message = api.ErrorCode(), api.ErrorMessage()
	}
	var transport *url.Error
	if errors.As(err, &transport) {
		p.message = transport.Err.Error()
		if target, err := url.Parse(transport.URL); err == nil {
			p.host = target.Host
		}
	}
	if p.message == "" {
		p.message = p.err.Error()
	}
	return p
}

func serviceName(id string) string {
	switch id {
	case "ec2imds":
		return "imds"
	case "ECR PUBLIC":
		return "ecr-public"
	default:
		return strings.ToLower(id)
	}
}

// String is the problem on one line.
func (p problem) String() string {
	var b strings.Builder
	if p.service != "" {
		fmt.Fprintf(&b, "%s: %s", p.service, p.operation)
	} else {
		b.WriteString("aws")
	}
	if p.host != "" {
		fmt.Fprintf(&b, " at %s", p.host)
	}
	b.WriteString(":")
	if p.status != 0 {
		fmt.Fprintf(&b, " status %d", p.status)
	}
	if p.code != "" && p.code != "UnknownError" {
		fmt.Fprintf(&b, " %s:", p.code)
	}
	fmt.Fprintf(&b, " %s", p.message)
	if p.requestID != "" {
		fmt.Fprintf(&b, " (request %s)", p.requestID)
	}
	return b.String()
}

// noCredentials reports whether the node has no AWS identity, as far as it
// could be found out.
func (p problem) noCredentials() bool {
	return p.service == "imds" || strings.Contains(p.err.Error(), "failed to refresh cached credentials") && p.status == 0
}

// refusals are the codes for which trying again changes nothing until somebody
// changes something.
var refusals = []string{
	"AccessDenied", "AccessDeniedException", "UnsupportedCommandException", "InvalidParameterException",
	"UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken", "ExpiredTokenException",
	"InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "OptInRequired",
	"InvalidIdentityToken", "IDPRejectedClaim", "RegionDisabledException", "MalformedPolicyDocument", "PackedPolicyTooLarge", "ValidationError",
}

func (p problem) refused() bool {
	for _, code := range refusals {
		if p.code == code {
			return true
		}
	}
	return false
}

// isRefusal reports whether an error means that there is no credential to be
// had: no identity, or one without the right.
func isRefusal(err error) bool {
	p := dissect(err)
	return p.refused() || p.noCredentials()
}

// again says whether and when to start over with new credentials.
func (s *source) again(err error, attempt int) (wait time.Duration, again bool) {
	p := dissect(err)
	switch {
	case p.service == "imds" && p.status == http.StatusNotFound && attempt <= 3:
		// A node that just booted may get its role some seconds later.
		return time.Second, true
	case s.identity.pod == nil && attempt == 1 && (p.code == "ExpiredTokenException" || p.code == "ExpiredToken" || p.code == "UnrecognizedClientException"):
		// The node's credentials were rotated while they were read.
		return 0, true
	}
	return 0, false
}

// explain makes the message that an operator reads: what failed where, as
// whom, and what to do.
func (s *source) explain(err error) error {
	p := dissect(err)
	text := fmt.Sprintf("%s, asking for %s as %s", p, s.registry, s.identity)
	if advice := s.advice(p); advice != "" {
		text += ": " + advice
	}
	return &credential.Failure{
		Err:        &explained{text: text, cause: err},
		Permanent:  p.refused() || p.status == http.StatusNotFound,
		RetryAfter: p.retryAfter,
	}
}

// explained is an error with a text of its own.
type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }

func (s *source) advice(p problem) string {
	text := p.err.Error()
	switch {
	case p.service == "imds" && p.status == http.StatusNotFound:
		return "attach an instance profile to the node"
	case p.service == "imds" && p.status == http.StatusForbidden:
		return "the instance metadata service is turned off for this instance (HttpEndpoint)"
	case p.noCredentials():
		return "the node has no AWS identity: attach an instance profile, allow a metadata hop limit of 2 if the kubelet runs in a container, or set AWS_PROFILE or AWS_WEB_IDENTITY_TOKEN_FILE in the provider's env"
	case strings.Contains(text, "x509:"):
		return "trust the proxy's or endpoint's certificate authority with --ca-file"
	case p.status == 0 && p.host != "":
		return "check the node's route, DNS, proxy or VPC endpoint for " + p.host
	case p.status == http.StatusTooManyRequests || strings.Contains(p.code, "Throttl"):
		return "AWS throttles this account; the next attempt is made after a pause"
	}
	switch p.code {
	case "AccessDenied", "AccessDeniedException":
		switch {
		case p.service == "sts" && s.identity.pod != nil:
			return fmt.Sprintf("the role's trust policy has to allow sts:AssumeRoleWithWebIdentity for issuer %s with subject %s and audience sts.amazonaws.com", s.identity.pod.Issuer, s.identity.pod.Subject)
		case p.service == "sts":
			return "allow the node's role sts:AssumeRole on that role, and the node's role in its trust policy"
		case p.service == "ecr-public":
			return "grant ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"
		default:
			return "grant ecr:GetAuthorizationToken (AmazonEC2ContainerRegistryPullOnly has it)"
		}
	case "InvalidIdentityToken":
		return "create the cluster's IAM OIDC provider in the role's account"
	case "IDPRejectedClaim":
		return "the kubelet's serviceAccountTokenAudience has to be sts.amazonaws.com"
	case "RegionDisabledException":
		return "activate STS in region " + s.registry.region
	case "InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed":
		return "check the node's clock"
	case "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId":
		return "the AWS credentials are no longer or not yet valid in this partition: check where they come from, and the node's clock"
	}
	return ""
}
