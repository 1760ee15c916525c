package ecr

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// problem is what an error of the SDK says, taken apart: which service failed
// at what, where, and how.
type problem struct {
	exchange
	service, operation    string
	code, text, requestID string
	cause                 error
}

// dissect looks through the SDK's layers, with the last exchange as witness.
// The innermost operation is the one that failed: ECR's fails because STS's
// did, and that because of IMDS's.
func dissect(err error, last exchange) problem {
	p := problem{exchange: last, cause: err}
	inner := err
	for {
		var operation *smithy.OperationError
		if !errors.As(inner, &operation) {
			break
		}
		p.service, p.operation, inner = serviceName(operation.ServiceID), operation.OperationName, operation.Err
	}
	p.text = inner.Error()

	var (
		identified *awshttp.ResponseError
		api        smithy.APIError
		transport  *url.Error
		unreadable *smithy.DeserializationError
		plain      *smithyhttp.ResponseError
		process    *processcreds.ProviderError
	)
	if errors.As(err, &identified) {
		p.requestID = identified.ServiceRequestID()
	}
	switch {
	case errors.As(err, &process):
		// The SDK's own text repeats what the program printed: keys.
		p.service, p.operation, p.text = "credential_process", "", "the program failed or did not print credentials"
	case errors.As(err, &unreadable):
		p.text = "the answer can not be read: " + unreadable.Err.Error()
	case errors.As(err, &api):
		p.code, p.text = api.ErrorCode(), api.ErrorMessage()
	case errors.As(err, &transport):
		p.text = transport.Err.Error()
	case errors.As(err, &plain):
		p.text = plain.Err.Error()
	}
	if host, _, _ := strings.Cut(p.host, ":"); p.service != "imds" && cloudhttp.IsMetadata(host) {
		// Some failures of the chain's sources pass for the caller's.
		p.service, p.operation = "container credentials", ""
		if host == imdsAddress {
			p.service = "imds"
		}
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
	report := cloudhttp.Report{Stage: p.service, Host: p.host, Status: p.status, Code: p.code, Text: p.text}
	if report.Stage == "" {
		report.Stage = "aws"
	}
	if p.operation != "" {
		report.Stage += ": " + p.operation
	}
	if p.code == "UnknownError" {
		report.Code = ""
	}
	if p.requestID != "" {
		report.ID = "request " + p.requestID
	}
	return report.String()
}

// refusals are the codes for which trying again changes nothing until somebody
// changes something.
var refusals = []string{
	"AccessDenied", "AccessDeniedException", "UnsupportedCommandException", "InvalidParameterException",
	"UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken", "ExpiredTokenException",
	"InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "OptInRequired",
	"InvalidIdentityToken", "IDPRejectedClaim", "RegionDisabledException", "MalformedPolicyDocument", "PackedPolicyTooLarge", "ValidationError",
}

// refused reports whether AWS answered and the answer is no.
func (p problem) refused() bool { return slices.Contains(refusals, p.code) }

// noRole reports whether the metadata service answers and has no role for the
// instance, or none yet.
func (p problem) noRole() bool {
	return p.service == "imds" && p.status == http.StatusNotFound || strings.Contains(p.cause.Error(), "empty EC2 IMDS role list")
}

// unassumable reports whether the instance has a role that EC2 may not assume.
func (p problem) unassumable() bool {
	return p.service == "imds" && p.code == "AssumeRoleUnauthorizedAccess"
}

// noService reports whether there is no metadata service, as on a machine that
// is not EC2's, or it is turned off.
func (p problem) noService() bool {
	if p.service != "imds" {
		return false
	}
	return p.status == http.StatusForbidden || p.disabled() || cloudhttp.Unreachable(p.err)
}

// disabled reports whether the environment forbids asking the metadata
// service.
func (p problem) disabled() bool {
	return p.service == "imds" && p.host == "" && strings.Contains(p.cause.Error(), "AWS_EC2_METADATA_DISABLED")
}

// hopeless reports whether there is no credential to be had: no identity, or
// one without the right. A service that is there and fails is not hopeless.
func (p problem) hopeless() bool {
	return p.refused() || p.noRole() || p.unassumable() || p.noService()
}

// again says whether and when to start over with new credentials.
func (p problem) again(i identity, attempt int) (wait time.Duration, again bool) {
	rotated := p.code == "ExpiredTokenException" || p.code == "ExpiredToken" || p.code == "UnrecognizedClientException"
	switch {
	case p.noRole() && attempt <= 3:
		// A node that just booted may get its role some seconds later.
		return time.Second, true
	case rotated && i.pod == nil && attempt == 1:
		// The node's credentials were rotated while they were read.
		return 0, true
	}
	return 0, false
}

// explain makes the message that an operator reads: what failed where, as
// whom, and what to do.
func (s *source) explain(p problem) error {
	text := fmt.Sprintf("%s, asking for %s as %s", p, s.registry, s.identity)
	if advice := s.advice(p); advice != "" {
		text += ": " + advice
	}
	return &credential.Failure{
		Err:        p.cause,
		Text:       text,
		Permanent:  p.hopeless(),
		RetryAfter: p.retryAfter,
	}
}

// advice says what to do about a problem, or nothing where that is plain.
func (s *source) advice(p problem) string {
	switch {
	case p.service == "imds":
		return p.metadataAdvice()
	case p.service == "credential_process":
		return "run it by hand as the kubelet's user"
	case strings.Contains(p.text, "x509:"):
		return "trust the proxy's or endpoint's certificate authority with --ca-file"
	case p.status == 0 && p.host != "":
		return "check the node's route, DNS, proxy or VPC endpoint for " + p.host
	case p.status == http.StatusTooManyRequests || strings.Contains(p.code, "Throttl"):
		return "AWS throttles this account; the next attempt is made after a pause"
	case p.status >= 500:
		return "AWS has a fault; the next attempt is made after a pause"
	}
	switch p.code {
	case "AccessDenied", "AccessDeniedException":
		return s.permissionAdvice(p)
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
	case "":
		if strings.Contains(p.text, "expired") {
			return "check the node's clock"
		}
		if p.status == http.StatusOK {
			return "something else may answer in AWS's place: check proxies and endpoints"
		}
	}
	return ""
}

func (p problem) metadataAdvice() string {
	const elsewhere = "set AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE or keys in the provider's env"
	switch {
	case p.noRole():
		return "attach an instance profile to the node, or " + elsewhere
	case p.unassumable():
		return "the trust policy of the instance profile's role has to allow ec2.amazonaws.com"
	case p.disabled():
		return "AWS_EC2_METADATA_DISABLED is set, and there are no other credentials: " + elsewhere
	case p.status == http.StatusForbidden:
		return "the instance metadata service is turned off for this instance (HttpEndpoint); turn it on, or " + elsewhere
	case p.noService():
		return "there is no instance metadata service here, and no other credentials: " + elsewhere
	case p.status == http.StatusTooManyRequests || p.status >= 500:
		return "the instance metadata service is throttled or at fault; the next attempt is made after a pause"
	default:
		return "if the kubelet runs in a container, allow a metadata hop limit of 2"
	}
}

// permissionAdvice says which right to grant to whom.
func (s *source) permissionAdvice(p problem) string {
	switch {
	case p.service == "sts" && s.identity.pod != nil:
		return fmt.Sprintf("the role's trust policy has to allow sts:AssumeRoleWithWebIdentity for issuer %s with subject %s and audience sts.amazonaws.com", s.identity.pod.Issuer, s.identity.pod.Subject)
	case p.service == "sts":
		externalID := "without an external ID, as none is configured"
		if s.identity.externalID != "" {
			externalID = "with the configured external ID"
		}
		return "the role's trust policy has to allow the node's role, " + externalID + ", and the node's role needs sts:AssumeRole on it"
	case p.service == "ecr-public":
		return "grant ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"
	default:
		return "grant ecr:GetAuthorizationToken (AmazonEC2ContainerRegistryPullOnly has it)"
	}
}
