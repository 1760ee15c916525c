package ecr

import (
	"fmt"
	"strings"

	"regcred/shared/cloudhttp"
)

// stsAudience is whom a token is for that STS takes.
const stsAudience = "sts.amazonaws.com"

// diagnoseRefusal is about what AWS refuses, by its code and, where that means
// several things, by its text.
func (p problem) diagnoseRefusal() (cloudhttp.Diagnosis, bool) {
	say := func(problem, advice string) (cloudhttp.Diagnosis, bool) {
		return cloudhttp.Diagnosis{Problem: problem, Advice: advice}, true
	}
	switch p.code {
	case "AccessDenied", "AccessDeniedException":
		return p.diagnosePermission(), true
	case "InvalidIdentityToken":
		return p.diagnoseToken(), true
	case "IDPRejectedClaim":
		if p.identity.pod == nil {
			return say("AWS refuses what "+p.webIdentity()+" says", "it may have expired or been revoked, or be for another audience than "+stsAudience)
		}
		return say("AWS refuses what "+p.webIdentity()+" says", "it may have expired or been revoked, or be for another audience: the kubelet's serviceAccountTokenAudience has to be "+stsAudience)
	case "RegionDisabledException":
		return say("the role's account takes no sessions of this region", "activate STS in region "+p.registry.region+" in the role's account")
	case "RequestExpired", "RequestTimeTooSkewed":
		return say("the request's time is not AWS's", "check the node's clock")
	case "InvalidSignatureException", "SignatureDoesNotMatch":
		return p.diagnoseSignature(), true
	case "IncompleteSignature", "IncompleteSignatureException":
		return say("AWS cannot read the request's signature", p.correctKey())
	case "ExpiredToken", "ExpiredTokenException":
		if p.operation == withWebIdentity {
			return say(p.webIdentity()+" has expired", p.renewedBy())
		}
		return say("the session that the AWS credentials belong to has ended", "check where they come from, and the node's clock")
	case "UnrecognizedClientException", "InvalidClientTokenId":
		advice := "check that it is of this partition, that its account has region " + p.registry.region + " enabled, that it was not deleted, and that its session token is set with it"
		if name := p.spacedKey(); name != "" {
			advice = "there is white space in " + name
		}
		return say("AWS does not know this access key in partition "+p.registry.partition, advice)
	}
	return cloudhttp.Diagnosis{}, false
}

// withWebIdentity is the operation of STS that takes a token.
const withWebIdentity = "AssumeRoleWithWebIdentity"

// webIdentity names the token that STS was shown.
func (p problem) webIdentity() string {
	if p.identity.pod != nil {
		return "the token of " + p.identity.pod.String()
	}
	return "the web identity token of the node"
}

// renewedBy says what was to renew that token.
func (p problem) renewedBy() string {
	if p.identity.pod != nil {
		return "the kubelet renews it by the node's clock: compare that with the API server's"
	}
	return "check what renews the file that AWS_WEB_IDENTITY_TOKEN_FILE names, and the node's clock"
}

// diagnoseToken is about STS's InvalidIdentityToken, which is five things.
func (p problem) diagnoseToken() cloudhttp.Diagnosis {
	issuer, audience := "its issuer", ""
	if pod := p.identity.pod; pod != nil {
		issuer, audience = "issuer "+pod.Issuer, strings.Join(pod.Audiences, ", ")
	}
	account := "the role's account"
	if p.identity.role != noRole {
		account += " " + p.identity.role.account
	}
	text := strings.ToLower(p.text)
	switch {
	case strings.Contains(text, "audience"):
		d := cloudhttp.Diagnosis{
			Problem: "AWS does not take the audience of " + p.webIdentity(),
			Advice:  "the IAM OIDC provider of " + issuer + " has to list it",
		}
		if audience != "" {
			d.Problem += ", " + audience
		}
		if audience != stsAudience {
			d.Advice = "it has to be " + stsAudience + " (the kubelet's serviceAccountTokenAudience), and the IAM OIDC provider of " + issuer + " has to list that"
		}
		return d
	case strings.Contains(text, "verification key"):
		return cloudhttp.Diagnosis{
			Problem: "AWS cannot get the keys of " + issuer,
			Advice:  "its /.well-known/openid-configuration and the keys that this names have to be reachable from the internet, and to hold the key that signed the token",
		}
	case strings.Contains(text, "thumbprint"):
		return cloudhttp.Diagnosis{
			Problem: "the certificate of " + issuer + " is not one that its IAM OIDC provider expects",
			Advice:  "update the thumbprints of the provider in " + account,
		}
	case strings.Contains(text, "no openidconnect provider"):
		return cloudhttp.Diagnosis{
			Problem: "there is no IAM OIDC provider for " + issuer,
			Advice:  "create the cluster's IAM OIDC provider in " + account + ", with audience " + stsAudience,
		}
	case strings.Contains(text, "not yet") || strings.Contains(text, "not valid before") || strings.Contains(text, "in the future"):
		return cloudhttp.Diagnosis{Problem: p.webIdentity() + " is not valid yet", Advice: "check the clock of the API server that issues it"}
	}
	return cloudhttp.Diagnosis{Problem: "AWS refuses " + p.webIdentity()}
}

// diagnoseSignature is about signatures. Most often the key is wrong; AWS says
// so where it is the time or the region.
func (p problem) diagnoseSignature() cloudhttp.Diagnosis {
	text := strings.ToLower(p.text)
	switch {
	case strings.Contains(text, "signature expired") || strings.Contains(text, "not yet current"):
		return cloudhttp.Diagnosis{Problem: "the request's time is not AWS's", Advice: "check the node's clock"}
	case strings.Contains(text, "scoped to"):
		return cloudhttp.Diagnosis{
			Problem: "the request was signed for another region than that of " + p.reply.Host,
			Advice:  "set AWS_REGION to the region of the configured endpoint, or correct the endpoint",
		}
	}
	return cloudhttp.Diagnosis{Problem: "the secret access key does not belong to the access key", Advice: p.correctKey()}
}

// correctKey says what to correct of an access key.
func (p problem) correctKey() string {
	if name := p.spacedKey(); name != "" {
		return "there is white space in " + name
	}
	return "correct the key where it is set, or the white space around it; a proxy that changes requests has the same effect"
}

// denials are the kinds of policy that AWS names in a denial, beside the
// identity's own, and where they are changed.
var denials = []struct{ kind, change string }{
	{"service control policy", "of the organization"},
	{"resource control policy", "of the organization"},
	{"permissions boundary", "of the role"},
	{"session policy", "with which the session was asked for"},
	{"VPC endpoint policy", "of the endpoint in the node's VPC"},
}

// diagnosePermission says which right to grant to whom, or what takes it away.
func (p problem) diagnosePermission() cloudhttp.Diagnosis {
	action := p.action()
	for _, denial := range denials {
		if !strings.Contains(p.text, denial.kind) {
			continue
		}
		return cloudhttp.Diagnosis{
			Problem: "a " + denial.kind + " does not allow " + action + " to " + p.identity.String(),
			Advice:  "change the " + denial.kind + " " + denial.change,
		}
	}
	if strings.Contains(p.text, "explicit deny") {
		return cloudhttp.Diagnosis{Problem: "a policy denies " + action + " to " + p.identity.String(), Advice: "remove the Deny: allowing it elsewhere does not help"}
	}
	d := cloudhttp.Diagnosis{Problem: "AWS does not allow " + action + " to " + p.identity.String()}
	switch pod := p.identity.pod; {
	case p.operation == withWebIdentity && pod != nil:
		d.Problem = "the role does not exist, or does not trust " + pod.String()
		d.Advice = fmt.Sprintf("the role's trust policy has to allow sts:%s for issuer %s with subject %s and audience %s", withWebIdentity, pod.Issuer, pod.Subject, stsAudience)
	case p.operation == withWebIdentity:
		d.Problem = "the role does not exist, or does not trust " + p.webIdentity()
		d.Advice = "check AWS_ROLE_ARN or the profile's role_arn, and that the role's trust policy allows sts:" + withWebIdentity + " for the token's issuer, subject and audience"
	case p.service == serviceSTS && p.identity.role == noRole:
		d.Problem = "the role of the profile does not exist, or does not trust the caller"
		d.Advice = "the role's trust policy has to allow the caller, with the profile's external_id if it wants one, and the caller needs sts:AssumeRole on it"
	case p.service == serviceSTS:
		externalID := "without an external ID, as none is configured"
		if p.identity.externalID != "" {
			externalID = "with the configured external ID"
		}
		d.Problem = "the role does not exist, or does not trust the node"
		d.Advice = "the role's trust policy has to allow the node's role, " + externalID + ", and the node's role needs sts:AssumeRole on it"
	case p.service == servicePublic:
		d.Advice = "grant ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"
	default:
		d.Advice = "grant ecr:GetAuthorizationToken (AmazonEC2ContainerRegistryPullOnly has it)"
	}
	return d
}

// action is what was asked for, as policies name it.
func (p problem) action() string {
	const bearer = "sts:GetServiceBearerToken" //nolint:gosec // A permission: what a token of the public registry takes besides
	if strings.Contains(p.text, bearer) {
		return bearer
	}
	return p.service + ":" + p.operation
}
