package gcr

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/json"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/jwt"
	"regcred/shared/serviceaccount"
)

// Stages, as messages name them.
const (
	stageSTS     = "sts"
	stageIAM     = "iamcredentials"
	stageOAuth   = "oauth2"
	stageSubject = "subject token"
)

// errRefused is the error of an answer that is no success. What it says is in
// its reply.
var errRefused = errors.New("refused")

// explain makes the failure that an operator reads. The error is what is wrong
// with an answer that was a success, or errRefused.
func explain(reply cloudhttp.Reply, err error, caller string, d cloudhttp.Diagnosis) *credential.Failure {
	failure := reply.Failure(d, readFailure(reply), caller)
	if reply.Err == nil && reply.OK() {
		failure.Err = err
	}
	return failure
}

// readFailure reads what a failure says of itself. STS answers as OAuth does,
// the APIs with an object, and the metadata server with a page or a line.
func readFailure(reply cloudhttp.Reply) cloudhttp.Said {
	if said, ok := reply.OAuthError(); ok {
		return said
	}
	var body struct {
		Error struct {
			Status  string `json:"status"`
			Message string `json:"message"`
			Details []struct {
				Reason string `json:"reason"`
			} `json:"details"`
		} `json:"error"`
	}
	if json.UnmarshalCaseSensitivePreserveInts(reply.Body, &body) == nil && body.Error.Message != "" {
		said := cloudhttp.Said{Code: cloudhttp.Bounded(body.Error.Status, 80), Text: cloudhttp.Bounded(body.Error.Message, 400)}
		for _, detail := range body.Error.Details {
			if detail.Reason != "" {
				said.Code += " " + cloudhttp.Bounded(detail.Reason, 80)
				break
			}
		}
		return said
	}
	if reply.OK() {
		return cloudhttp.Said{}
	}
	return reply.PlainText()
}

// isRefusal reports whether an answer is that of a service that is in order and
// refuses what it was asked.
func isRefusal(reply cloudhttp.Reply) bool {
	passing := reply.Status == http.StatusTooManyRequests || reply.Status == http.StatusRequestTimeout
	return reply.Err == nil && reply.Status >= 300 && reply.Status < 500 && !passing
}

// refusal is a diagnosis of what stays refused until somebody changes
// something.
func refusal(problem, advice string) cloudhttp.Diagnosis {
	return cloudhttp.Diagnosis{Problem: problem, Advice: advice, Permanent: true}
}

// diagnosis is of an API: of the way there, of an answer that makes no sense,
// or else of what it refuses.
func diagnosis(reply cloudhttp.Reply, err error, name string, refused func(cloudhttp.Said) cloudhttp.Diagnosis) cloudhttp.Diagnosis {
	if d, ok := reply.Diagnose(cloudhttp.Service{Name: name}); ok {
		if reply.OK() {
			d.Problem = err.Error()
		}
		if errors.Is(err, credential.ErrExpired) {
			d.Advice = "check this node's clock"
		}
		return d
	}
	said := readFailure(reply)
	if isPerimeter(said) {
		return refusal("VPC Service Controls forbid this", "let the perimeter's ingress rules allow it; the audit log has it under the id in the text")
	}
	return refused(said)
}

// isPerimeter reports whether a refusal is that of a service perimeter, whoever
// asks and whatever they may do.
func isPerimeter(said cloudhttp.Said) bool {
	return has(said, "vpcservicecontrols", "prohibited by organization's policy", "security_policy_violated")
}

// isNotEnabled reports whether a refusal is that of an API that is not enabled
// in a project.
func isNotEnabled(said cloudhttp.Said) bool {
	return has(said, "has not been used", "service_disabled")
}

// iamNotEnabled is the diagnosis of the API that gives tokens of service accounts.
func iamNotEnabled() cloudhttp.Diagnosis {
	return refusal("the IAM Service Account Credentials API is not enabled", "enable iamcredentials.googleapis.com in the service account's project")
}

// has reports whether what was said has one of some words, which are in lower
// case.
func has(said cloudhttp.Said, words ...string) bool {
	text := strings.ToLower(said.Code + " " + said.Text)
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// subject is who asks STS for a token.
type subject struct {
	// name is what its token is called, and token is that.
	name, token string
	// issuer, subject and audiences are what the token says, if it is one of a
	// Kubernetes service account.
	issuer, subject string
	audiences       []string
	// provider is who is asked to vouch for it.
	provider string
	// setting says how its token would be for what the provider allows.
	setting string
}

// subjectOf is the subject of a pod's token.
func subjectOf(pod *serviceaccount.Token, name, provider, setting string) subject {
	return subject{name, pod.Reveal(), pod.Issuer, pod.Subject, pod.Audiences, provider, setting}
}

// diagnoseExchange is about STS. One code has several causes, which its text
// tells apart.
func diagnoseExchange(reply cloudhttp.Reply, err error, s subject) cloudhttp.Diagnosis {
	return diagnosis(reply, err, "Google's STS", func(said cloudhttp.Said) cloudhttp.Diagnosis {
		switch {
		case said.Code == "invalid_target":
			return refusal("the workload identity pool or provider does not exist, or is disabled", "check "+s.provider)
		case isNotEnabled(said):
			return refusal("the Security Token Service API is not enabled", "enable sts.googleapis.com in the pool's project")
		case has(said, "attribute condition"):
			return refusal("the provider's attribute condition does not let "+s.who()+" in", "change the condition, or what "+s.name+" says")
		case has(said, "mapped attribute", "attribute mapping", "could not obtain a value for"):
			return refusal("the provider's attribute mapping does not fit "+s.name, "correct it; google.subject=assertion.sub fits every Kubernetes token")
		case has(said, "audience") && said.Code == "invalid_grant":
			return refusal(s.name+" is for another audience than the provider allows"+s.isFor(), s.setting+", or let the provider allow the token's")
		case has(said, "stale", "expired", "in the future", "too early"):
			return s.diagnoseTime(reply)
		case has(said, "issuer in", "expected issuer", "does not match the expected ones"):
			return refusal("the provider trusts another issuer than that of "+s.name, "set the provider's issuer to "+cmp.Or(s.issuer, "the token's"))
		case has(said, "connecting to the given credential's issuer", "jwk", "signature", "verif"):
			return refusal("Google cannot check "+s.name+" with its issuer's keys", "the provider's issuer has to be "+cmp.Or(s.issuer, "the token's")+" and reachable from the internet, or the provider needs the cluster's keys (--jwk-json-path)")
		case said.Code == "invalid_scope":
			return refusal("Google does not know the scopes", "correct --scope")
		case said.Code == "invalid_request" && has(said, "audience"):
			return refusal("STS does not understand the question", "check the provider's name: "+s.provider)
		case said.Code == "invalid_request":
			return refusal("STS does not understand the question", "")
		case said.Code == "invalid_grant":
			return refusal("Google does not accept "+s.name, "check issuer, allowed audiences and attribute condition of "+s.provider)
		}
		return refusal("STS refuses to exchange "+s.name, "")
	})
}

func (s subject) who() string { return cmp.Or(s.subject, s.name) }

// isFor says what the token is for, if that is known.
func (s subject) isFor() string {
	if len(s.audiences) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.120s)", strings.Join(s.audiences, ", "))
}

// diagnoseTime is about a token that Google finds too old or too new. It is, or
// one of three clocks makes it so: this node's, Google's or the issuer's.
func (s subject) diagnoseTime(reply cloudhttp.Reply) cloudhttp.Diagnosis {
	if expires, ok := jwt.Expiry(s.token); ok && !expires.After(reply.Received) {
		return refusal(s.name+" has expired, at "+expires.UTC().Format(time.RFC3339), "check this node's clock; if it is right, whoever hands the token out does so too late")
	}
	advice := "check the clock of its issuer, which for a pod's is the control plane's"
	switch skew, known := skewOf(reply); {
	case !known:
		advice = "check the clocks of this node and of the token's issuer"
	case skew != "":
		advice = skew
	}
	return refusal("Google finds "+s.name+" too old or too new", advice)
}

// skewOf says how far this node's clock is from the server's, or nothing where
// the two agree. It is not known where the server does not tell the time.
func skewOf(reply cloudhttp.Reply) (advice string, known bool) {
	date, err := http.ParseTime(reply.Header.Get("Date"))
	if err != nil {
		return "", false
	}
	skew, direction := reply.Received.Sub(date).Round(time.Second), "ahead of"
	if skew < 0 {
		skew, direction = -skew, "behind"
	}
	if skew < time.Minute {
		return "", true
	}
	return "this node's clock is " + skew.String() + " " + direction + " Google's: correct it", true
}

// diagnoseImpersonation is about IAM, which is asked for a token of an account
// by somebody who may not have the role.
func diagnoseImpersonation(reply cloudhttp.Reply, err error, email, caller, role string) cloudhttp.Diagnosis {
	return diagnosis(reply, err, "Google's IAM", func(said cloudhttp.Said) cloudhttp.Diagnosis {
		switch {
		case isNotEnabled(said):
			return iamNotEnabled()
		case has(said, "disabled"):
			return refusal("the service account "+email+" is disabled", "enable it, or name another")
		case has(said, "scope"):
			return refusal("the scopes are not allowed", "correct --scope")
		case reply.Status == http.StatusNotFound:
			return refusal("there is no service account "+email, "check its email")
		case reply.Unauthorized():
			return cloudhttp.Diagnosis{Problem: "IAM does not take the token that was exchanged", Advice: "the next attempt is made after a pause"}
		case reply.Status == http.StatusForbidden:
			return refusal(email+" may not be impersonated, or does not exist", "grant "+role+" on it to "+caller)
		}
		return refusal("IAM refuses a token of "+email, "")
	})
}

// diagnoseKey is about OAuth, which exchanges what a key has signed.
func diagnoseKey(reply cloudhttp.Reply, err error, email string) cloudhttp.Diagnosis {
	return diagnosis(reply, err, "Google's OAuth", func(said cloudhttp.Said) cloudhttp.Diagnosis {
		switch {
		case has(said, "timeframe", "iat and exp", "short-lived"):
			skew, _ := skewOf(reply)
			return refusal("Google finds the request too old or too new", cmp.Or(skew, "check this node's clock"))
		case has(said, "account not found"):
			return refusal("there is no service account "+email, "name a file of one that exists")
		case has(said, "signature", "no key", "key id"):
			return refusal("Google does not know the key", "it was deleted or disabled, or is another account's: make a new one for "+email)
		case has(said, "disabled"):
			return refusal("the service account "+email+" is disabled", "enable it, or name a file of another")
		case said.Code == "invalid_scope":
			return refusal("Google does not know the scopes", "correct --scope")
		case said.Code == "invalid_grant":
			return refusal("Google does not accept the key", "check that it and "+email+" are enabled, and this node's clock")
		}
		return refusal("Google refuses the key's question", "")
	})
}
