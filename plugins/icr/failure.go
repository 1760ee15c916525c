package icr

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// Stages, as messages name them.
const (
	stageFile     = "credentials"
	stageIdentity = "metadata identity"
	stageMachine  = "metadata token"
	stageKey      = "iam api-key"
	stagePod      = "iam cr-token"
	stageAssume   = "iam assume"
)

// service is one that is asked for a token, as it is asked in one call.
type service struct {
	cloudhttp.Service

	// caller is as whom it is asked, in messages.
	caller string

	// diagnose says what the service's own refusal means.
	diagnose func(cloudhttp.Reply, cloudhttp.Said) cloudhttp.Diagnosis
}

// token reads the token that the service answered with, or explains why there is
// none.
func (s service) token(r cloudhttp.Reply) (credential.Token, error) {
	if !r.OK() {
		return credential.Token{}, s.failure(r)
	}
	token, err := readToken(r)
	if err != nil {
		return credential.Token{}, s.useless(r, err)
	}
	if token.Caller = callerOf(token); token.Caller == "" {
		token.Caller = s.caller
	}
	return token, nil
}

// failure explains a reply that is no success.
func (s service) failure(r cloudhttp.Reply) *credential.Failure {
	said := readSaid(r)
	d, ok := r.Diagnose(s.Service)
	switch _, silent := errors.AsType[*cloudhttp.SilenceError](r.Err); {
	case silent && r.Stage == stageIdentity:
		d.Advice = s.Elsewhere // it says nothing where it is turned off
	case !ok:
		d = s.diagnose(r, said)
		d.Permanent = true
	}
	return r.Failure(d, said, s.caller)
}

// useless explains a success that holds no token of use.
func (s service) useless(r cloudhttp.Reply, err error) *credential.Failure {
	return r.Useless(s.Service, requestID(r), s.caller, err)
}

// refusal is what a service of IBM's says when it refuses something: IAM's tokens
// in one form, and everything else in another.
type refusal struct {
	Code    string `json:"errorCode"`
	Message string `json:"errorMessage"`
	Details string `json:"errorDetails"`
	Context struct {
		RequestID string `json:"requestId"`
	} `json:"context"`

	Errors []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
	Trace string `json:"trace"`
}

// readRefusal reads the body of a failure, and reports whether it has either
// form. What is not there is empty, and so is what is something else: codes of
// some of IBM's services are numbers.
func readRefusal(r cloudhttp.Reply) (refusal, bool) {
	var body refusal
	_ = r.Decode(&body)
	return body, body.Code != "" || body.Message != "" || len(body.Errors) > 0
}

// readSaid reads the body of a failure.
func readSaid(r cloudhttp.Reply) cloudhttp.Said {
	body, ok := readRefusal(r)
	if r.OK() || !ok {
		text := r.PlainText()
		text.ID = requestID(r)
		return text
	}
	code, text := body.Code, body.Message
	if code == "" && text == "" {
		code, text = body.Errors[0].Code, body.Errors[0].Message
	}
	if body.Details != text {
		text += " " + body.Details
	}
	return cloudhttp.Said{Code: cloudhttp.Bounded(code, 80), Text: cloudhttp.Bounded(text, 300), ID: requestID(r, body.Context.RequestID, body.Trace)}
}

// requestID is by which id IBM finds the request in its own log.
func requestID(r cloudhttp.Reply, said ...string) string {
	for _, id := range append(said, r.Header.Get("Transaction-Id"), r.Header.Get("X-Request-Id")) {
		if isID(id) {
			return "request id " + id
		}
	}
	return ""
}

// isIBM reports by its form whether a refusal is of a metadata service of IBM's.
// Those of other clouds are at the same address.
func isIBM(r cloudhttp.Reply) bool {
	_, ok := readRefusal(r)
	return ok
}

// service is IAM.
func (e *endpoints) service(caller string, diagnose func(cloudhttp.Reply, cloudhttp.Said) cloudhttp.Diagnosis) service {
	return service{cloudhttp.Service{Name: "IAM"}, caller, func(r cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis {
		switch text := strings.ToLower(said.Text); {
		case said.Code == "" && said.Text == "":
			return cloudhttp.Diagnosis{Problem: "what answers at " + r.Host + " does not answer as IAM does", Advice: "something else may answer in its place: check proxies and --iam-endpoint"}
		case strings.Contains(text, "ip address") || strings.Contains(text, "context-based"):
			return cloudhttp.Diagnosis{Problem: "IAM does not let this node in", Advice: "allow its address in the account's IP restrictions and context-based restrictions"}
		}
		return diagnose(r, said)
	}}
}

// Codes of IAM's.
const (
	codeNotEligible  = "BXNIM0398E" // the profile does not trust who asks
	codeInvalidToken = "BXNIM0407E" //nolint:gosec // The name of a failure.
	codeNoSuchUser   = "BXNIM0410E"
	codeNoSuchKey    = "BXNIM0415E"
	codeExternal     = "BXNIM0400E" // another factor is asked for
)

// refusesToken reports whether IAM does not take the token that it was shown.
func refusesToken(r cloudhttp.Reply) bool {
	return r.Unauthorized() || !r.OK() && readSaid(r).Code == codeInvalidToken
}

func (s *keyToken) service() service {
	return s.endpoints.service(s.identity(), func(_ cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis {
		switch said.Code {
		case codeNoSuchKey:
			return cloudhttp.Diagnosis{Problem: "IAM does not know the API key in " + s.file, Advice: "it was deleted, or replaced by another one: put that into the file"}
		case codeNoSuchUser:
			return cloudhttp.Diagnosis{Problem: s.identity() + " is no active user of the account", Advice: "pull with the key of a service ID"}
		case codeExternal:
			return cloudhttp.Diagnosis{Problem: "IAM asks the owner of the API key for another factor", Advice: "pull with the key of a service ID"}
		}
		return cloudhttp.Diagnosis{Problem: "IAM refuses the API key in " + s.file}
	})
}

func (s *podToken) service() service {
	var audience string // what to do about a wrong one
	if !slices.Contains(s.pod.Audiences, podAudience) {
		audience = "the kubelet's serviceAccountTokenAudience has to be " + podAudience
	}
	return s.endpoints.service(s.identity(), func(_ cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis {
		switch said.Code {
		case codeNotEligible:
			return cloudhttp.Diagnosis{
				Problem: s.profile.String() + " does not trust " + s.pod.String(),
				Advice:  "add a rule to it for this cluster (cr_type IKS_SA, or ROKS_SA for OpenShift) with namespace " + s.pod.Namespace + " and name " + s.pod.Name,
			}
		case codeInvalidToken:
			return cloudhttp.Diagnosis{
				Problem: "IAM does not take the token of " + s.pod.String(),
				Advice:  cmp.Or(audience, "IAM knows clusters of IKS and ROKS alone, and tokens of an hour at most; check the node's clock"),
			}
		}
		return cloudhttp.Diagnosis{Problem: "IAM does not exchange the token of " + s.pod.String() + " for one of " + s.profile.String(), Advice: audience}
	})
}

func (s *assumedToken) service(caller string) service {
	return s.endpoints.service(caller, func(_ cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis {
		if said.Code == codeInvalidToken {
			return cloudhttp.Diagnosis{Problem: "IAM does not take the token with which " + s.profile.String() + " is assumed", Advice: "check the node's clock"}
		}
		return cloudhttp.Diagnosis{Problem: "IAM does not let " + s.profile.String() + " be assumed", Advice: "the profile has to trust " + caller}
	})
}

// service is the machine's metadata service.
func (s *machineToken) service() service {
	return service{s.metadata.Service, s.profile.String(), func(r cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis {
		switch {
		case said.Code == "profile_not_linked" || said.Code == codeNotEligible:
			return cloudhttp.Diagnosis{Problem: s.profile.String() + " is not linked to this machine", Advice: "link it, or add a rule to it that the machine fits"}
		case r.Stage == stageIdentity && r.Status == http.StatusForbidden:
			return cloudhttp.Diagnosis{Problem: s.metadata.Name + " refuses to answer", Advice: "enable it for this machine"}
		case r.Stage == stageIdentity && r.Status == http.StatusNotFound:
			return cloudhttp.Diagnosis{Problem: s.metadata.Name + " does not say who this machine is"}
		case r.Stage == stageIdentity:
			return cloudhttp.Diagnosis{Problem: s.metadata.Name + " refuses to answer"}
		case s.profile == noProfile && r.Status == http.StatusBadRequest:
			return cloudhttp.Diagnosis{Problem: "this machine may have no default trusted profile", Advice: "name one with --profile"}
		}
		d := cloudhttp.Diagnosis{Problem: s.metadata.Name + " gives no token of " + s.profile.String()}
		if r.Status == http.StatusNotFound {
			d.Advice = "check that the profile exists, and link it to this machine"
		}
		return d
	}}
}
