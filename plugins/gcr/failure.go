package gcr

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// who is whose token is asked for. The zero value is the service account of
// the instance.
type who struct {
	pod      *serviceaccount.Token
	audience audience
	// email is the Google service account that the pod impersonates.
	email string
	// file holds the node's credentials.
	file string
}

// String names the identity in messages.
func (w who) String() string {
	switch {
	case w.pod != nil && w.email != "":
		return w.pod.String() + " as " + w.email
	case w.pod != nil:
		return w.pod.String()
	case w.file != "":
		return "the node with " + w.file
	default:
		return "the node's service account"
	}
}

// problem is what went wrong, taken apart: what failed, where, and how.
type problem struct {
	exchange
	stage string
	cause error
}

// dissect puts an error together with the last exchange. Where that failed, it
// says more than the error.
func dissect(err error, last exchange) problem {
	p := problem{exchange: last, cause: err, stage: stageOf(last.host)}
	switch {
	case last.err != nil:
		p.cause, p.text = last.err, last.err.Error()
	case last.host == "" || !last.failed():
		p.text = err.Error()
	}
	return p
}

// stageOf names the service at a host of Google's, in any universe and region.
func stageOf(host string) string {
	service, _, _ := strings.Cut(host, ".")
	switch {
	case host == "":
		return "credentials"
	case service == "sts" || service == "iamcredentials" || service == "oauth2":
		return service
	default:
		return "subject token" // for which a file of credentials names a place
	}
}

// String is the problem on one line.
func (p problem) String() string {
	return cloudhttp.Report{Stage: p.stage, Host: p.host, Status: p.status, Code: p.code, Text: p.text}.String()
}

// impostor reports whether something answered that is not Google's metadata
// server. An answer that comes from before it, such as a proxy's that has no
// service behind it, counts for nothing.
func (p problem) impostor() bool {
	return errors.Is(p.cause, errImpostor) || p.stage == "metadata" && p.status >= 300 && p.status < 500 && p.status != http.StatusTooManyRequests && !p.flavor
}

// hopeless reports whether trying again changes nothing until somebody changes
// something.
func (p problem) hopeless() bool {
	switch {
	case p.host == "" || p.impostor() || errors.Is(p.cause, errScope) || errors.Is(p.cause, errUniverse):
		return true
	case p.stage == "metadata" && cloudhttp.Unreachable(p.err):
		return !cloudhttp.Refused(p.err)
	default:
		return p.status >= 300 && p.status < 500 && p.status != http.StatusTooManyRequests &&
			p.status != http.StatusRequestTimeout && p.status != http.StatusUnauthorized
	}
}

// explain makes the message that an operator reads: what failed where, as
// whom, and what to do.
func (w who) explain(p problem) error {
	text := fmt.Sprintf("%s, asking as %s", p, w)
	if advice := w.advice(p); advice != "" {
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
func (w who) advice(p problem) string {
	switch {
	case p.stage == "metadata":
		return p.metadataAdvice()
	case strings.Contains(p.text, "x509:"):
		return "trust the proxy's or endpoint's certificate authority with --ca-file"
	case p.host != "" && p.status == 0:
		return "check the node's route, DNS or proxy for " + p.host
	case p.status == http.StatusTooManyRequests:
		return "Google throttles this project; the next attempt is made after a pause"
	case p.status >= 500:
		return "Google has a fault; the next attempt is made after a pause"
	case p.host != "" && p.status < 300:
		return "something else may answer in Google's place: check proxies and endpoints"
	}
	switch p.stage {
	case "sts":
		return w.exchangeAdvice(p)
	case "iamcredentials":
		return w.impersonationAdvice(p)
	case "oauth2":
		return "the key is not or no longer valid: check that it is enabled, and the node's clock"
	case "subject token":
		return "check credential_source in the file"
	default:
		return ""
	}
}

func (p problem) metadataAdvice() string {
	const elsewhere = "off Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS in the provider's env"
	switch {
	case errors.Is(p.cause, errScope):
		return "give the instance the scope https://www.googleapis.com/auth/devstorage.read_only or cloud-platform"
	case errors.Is(p.cause, errUniverse):
		return "set --universe-domain to the node's, whose registries are then answered for"
	case p.impostor():
		return "what answers does not identify itself as Google's metadata server; " + elsewhere
	case p.status == http.StatusNotFound:
		return "attach a service account with a scope for storage or cloud-platform to the node; " + elsewhere
	case p.status == http.StatusForbidden:
		return "the metadata endpoint is disabled for this instance, or refuses this process: see disable-legacy-endpoints and metadata concealment"
	case p.status == http.StatusTooManyRequests || p.status >= 500:
		return "the metadata server is throttled or at fault; the next attempt is made after a pause"
	case cloudhttp.Refused(p.err):
		return "the metadata server does not listen, or not yet; " + elsewhere
	case cloudhttp.Unreachable(p.err) || cloudhttp.IsMetadata(p.host) && p.status == 0:
		return "there is no metadata server here, or it does not answer; " + elsewhere
	default:
		return ""
	}
}

// exchangeAdvice is about what STS refuses.
func (w who) exchangeAdvice(p problem) string {
	if w.pod == nil {
		return "check the provider that the file names, and what it accepts"
	}
	switch p.code {
	case "invalid_target":
		return "the workload identity pool or provider does not exist or is disabled: " + w.audience.text
	case "invalid_grant":
		accepted := "one that the provider allows, which is by default https:" + w.audience.text
		if w.audience.project == "" {
			accepted = w.audience.pool
		}
		return fmt.Sprintf("the provider has to trust issuer %s and its conditions to let %s in, the kubelet's serviceAccountTokenAudience has to be %s, and clocks have to agree", w.pod.Issuer, w.pod.Subject, accepted)
	case "invalid_request":
		return "check the audience: " + w.audience.text
	default:
		return ""
	}
}

// impersonationAdvice says which right to grant to whom.
func (w who) impersonationAdvice(p problem) string {
	switch {
	case strings.Contains(p.text, "has not been used") || strings.Contains(p.text, "is disabled") || strings.Contains(p.text, "SERVICE_DISABLED"):
		return "enable the IAM Service Account Credentials API in the service account's project"
	case p.status == http.StatusNotFound:
		return "there is no such service account"
	case p.status == http.StatusUnauthorized:
		return "the exchanged token is no longer valid; the next attempt is made after a pause"
	case p.status == http.StatusForbidden && w.pod != nil:
		return "grant roles/iam.workloadIdentityUser on " + w.email + " to " + w.audience.principal(w.pod)
	case p.status == http.StatusForbidden:
		return "grant roles/iam.serviceAccountTokenCreator or roles/iam.workloadIdentityUser on the service account that the file names"
	default:
		return ""
	}
}
