package icr

import (
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

	Errors []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
}

// readSaid reads the body of a failure.
func readSaid(r cloudhttp.Reply) cloudhttp.Said {
	var body refusal
	var more struct {
		Details string `json:"errorDetails"`
		Context struct {
			RequestID string `json:"requestId"`
		} `json:"context"`
		Trace string `json:"trace"`
	}
	if r.OK() || r.Decode(&body) != nil || body.Code == "" && len(body.Errors) == 0 {
		text := r.PlainText()
		text.ID = requestID(r)
		return text
	}
	_ = r.Decode(&more) // what is not there, or something else, is empty
	code, text := body.Code, body.Message
	if code == "" {
		code, text = body.Errors[0].Code, body.Errors[0].Message
	}
	if more.Details != text {
		text += " " + more.Details
	}
	return cloudhttp.Said{Code: cloudhttp.Bounded(code, 80), Text: cloudhttp.Bounded(text, 300), ID: requestID(r, more.Context.RequestID, more.Trace)}
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
	var body refusal
	return r.Decode(&body) == nil && len(body.Errors) > 0
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
		case codeExternal:
			return cloudhttp.Diagnosis{Problem: "IAM asks the owner of the API key for another factor", Advice: "pull with the key of a service ID"}
		}
		return cloudhttp.Diagnosis{Problem: "IAM refuses the API key in " + s.file}
	})
}

func (s *podToken) service() service {
	return s.endpoints.service(s.identity(), func(_ cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis {
		switch said.Code {
		case codeNotEligible:
			return cloudhttp.Diagnosis{
				Problem: s.profile.String() + " does not trust " + s.pod.String(),
				Advice:  "add a rule to it for this cluster (cr_type IKS_SA, or ROKS_SA for OpenShift) with namespace " + s.pod.Namespace + " and name " + s.pod.Name,
			}
		case codeInvalidToken:
			advice := "IAM knows clusters of IKS and ROKS alone, and tokens of an hour at most; check the node's clock"
			if !slices.Contains(s.pod.Audiences, podAudience) {
				advice = "the kubelet's serviceAccountTokenAudience has to be " + podAudience
			}
			return cloudhttp.Diagnosis{Problem: "IAM does not take the token of " + s.pod.String(), Advice: advice}
		}
		return cloudhttp.Diagnosis{Problem: "IAM does not exchange the token of " + s.pod.String() + " for one of " + s.profile.String()}
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
		case said.Code == "profile_not_linked":
			return cloudhttp.Diagnosis{Problem: s.profile.String() + " is not linked to this machine", Advice: "link it, or add a rule to it that the machine fits"}
		case r.Status == http.StatusForbidden && r.Stage == stageIdentity:
			return cloudhttp.Diagnosis{Problem: s.metadata.Name + " refuses to answer", Advice: "enable it for this machine"}
		case r.Status == http.StatusNotFound:
			return cloudhttp.Diagnosis{Problem: s.metadata.Name + " does not say who this machine is"}
		case s.profile == noProfile && r.Stage == stageMachine && r.Status == http.StatusBadRequest:
			return cloudhttp.Diagnosis{Problem: "this machine may have no default trusted profile", Advice: "name one with --profile"}
		default:
			return cloudhttp.Diagnosis{Problem: s.metadata.Name + " refuses to answer"}
		}
	}}
}
