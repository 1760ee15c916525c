package ocir

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/json"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// Stages, as messages name them.
const (
	stageMetadata   = "imds"
	stageFederation = "federation"
	stageWorkload   = "workload identity"
	stageExchange   = "token exchange"
	stageToken      = "token"
	stageProbe      = "verify"
)

// codeDenied is Oracle's code where a policy is missing, or where there is no such
// thing: it does not say which.
const codeDenied = "NotAuthorizedOrNotFound"

// errRefused is the error of an answer that is no success.
var errRefused = errors.New("refused")

// explain makes the failure of a reply. Err is what is wrong with an answer that
// came as a success, and refusal says what the service means by any other.
func explain(r cloudhttp.Reply, err error, service cloudhttp.Service, caller string, refusal func(cloudhttp.Said) cloudhttp.Diagnosis) *credential.Failure {
	said := readSaid(r)
	d, found := r.Diagnose(service)
	switch {
	case r.OK() && errors.Is(err, credential.ErrExpired):
		d = cloudhttp.Diagnosis{Problem: err.Error(), Advice: "check the node's clock"}
	case r.OK() && err != nil && !errors.Is(err, cloudhttp.ErrUnreadable):
		d.Problem = err.Error()
	case !found:
		d = refusal(said)
		d.Permanent = true
	}
	return r.Failure(d, said, caller)
}

// readSaid reads the body of a failure: Oracle's own form, that of registries,
// OAuth's, or a line for people.
func readSaid(r cloudhttp.Reply) cloudhttp.Said {
	type reason struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	var body struct {
		reason
		Errors []reason `json:"errors"`
	}
	said, oauth := r.OAuthError()
	if !oauth && !r.OK() {
		// A code may be a number, as Kubernetes has it. The rest is read all the same.
		_ = json.UnmarshalCaseSensitivePreserveInts(r.Body, &body)
		if len(body.Errors) > 0 {
			body.reason = body.Errors[0]
		}
		said = cloudhttp.Said{Code: cloudhttp.Bounded(body.Code, 80), Text: cloudhttp.Bounded(body.Message, 300)}
		if body.reason == (reason{}) {
			said = r.PlainText()
		}
	}
	if id := r.Header.Get("Opc-Request-Id"); id != "" {
		said.ID = "opc-request-id " + cloudhttp.Bounded(id, 100)
	}
	return said
}

// clockOff reports whether a service says that the node's clock is what is wrong.
func clockOff(said cloudhttp.Said) bool {
	text := strings.ToLower(said.Text)
	return strings.Contains(text, "clock") || strings.Contains(text, "skew") || strings.HasPrefix(text, "date ")
}

// explainMetadata is about the metadata service, and what it answers with.
func explainMetadata(r cloudhttp.Reply) *credential.Failure {
	const elsewhere = "elsewhere than on an OCI instance set --auth-method=user_principal"
	service := cloudhttp.Service{
		Name: "the instance metadata service", Elsewhere: elsewhere,
		// It answers with pages, too.
		Own: func(cloudhttp.Reply) bool { return true },
	}
	return explain(r, cloudhttp.ErrUnreadable, service, "", func(cloudhttp.Said) cloudhttp.Diagnosis {
		if r.Status == http.StatusNotFound {
			return cloudhttp.Diagnosis{Problem: "the instance metadata service has no such document, or not yet", Advice: elsewhere}
		}
		return cloudhttp.Diagnosis{Problem: "the instance metadata service refuses the question", Advice: "something else may answer in its place"}
	})
}

// explainFederation is about the exchange of the machine's certificate.
func explainFederation(r cloudhttp.Reply, err error, caller string) *credential.Failure {
	return explain(r, err, cloudhttp.Service{Name: "OCI's federation service"}, caller, func(said cloudhttp.Said) cloudhttp.Diagnosis {
		d := cloudhttp.Diagnosis{Problem: "OCI does not accept the instance's certificate"}
		if clockOff(said) {
			d.Advice = "check the node's clock"
		}
		return d
	})
}

// explainWorkload is about OKE's exchange of a pod's token.
func explainWorkload(r cloudhttp.Reply, err error) *credential.Failure {
	service := cloudhttp.Service{Name: "the cluster's workload identity service", CAFlag: "--cluster-ca-file"}
	return explain(r, err, service, "", func(cloudhttp.Said) cloudhttp.Diagnosis {
		switch r.Status {
		case http.StatusForbidden:
			return cloudhttp.Diagnosis{Problem: "the cluster gives pods no identity", Advice: "workload identity needs an enhanced cluster"}
		case http.StatusUnauthorized:
			return cloudhttp.Diagnosis{Problem: "the cluster does not accept the pod's token", Advice: "the kubelet's serviceAccountTokenAudience has to be one that the API server accepts: its own"}
		default:
			return cloudhttp.Diagnosis{Problem: "the cluster refuses the exchange of the pod's token"}
		}
	})
}

// explainExchange is about an identity domain's exchange of a pod's token, which
// the node asks for.
func explainExchange(r cloudhttp.Reply, err error, pod *serviceaccount.Token, node string) *credential.Failure {
	return explain(r, err, cloudhttp.Service{Name: "the identity domain"}, node, func(said cloudhttp.Said) cloudhttp.Diagnosis {
		switch {
		case clockOff(said):
			return cloudhttp.Diagnosis{Problem: "the identity domain does not accept the node's signature, by its time", Advice: "check the node's clock"}
		case r.Unauthorized() || r.Status == http.StatusForbidden || slices.Contains([]string{"invalid_client", "unauthorized_client", codeDenied}, said.Code):
			return cloudhttp.Diagnosis{Problem: "the identity domain does not let the node ask", Advice: "a policy has to say: allow dynamic-group GROUP to {GET_RPST} in tenancy, for a group that matches the node"}
		case r.Status == http.StatusNotFound:
			return cloudhttp.Diagnosis{Problem: "the identity domain exchanges no tokens at this address", Advice: "check --identity-domain"}
		default:
			return cloudhttp.Diagnosis{
				Problem: "the identity domain does not accept the pod's token",
				Advice:  fmt.Sprintf("it needs a trust for issuer %s with the cluster's key that admits %s", pod.Issuer, pod.Subject),
			}
		}
	})
}

// explainToken is about a registry's token.
func (s *registryToken) explainToken(r cloudhttp.Reply, err error, caller string) *credential.Failure {
	return explain(r, err, cloudhttp.Service{Name: "the registry's token service"}, cmp.Or(caller, s.principal.String()), func(said cloudhttp.Said) cloudhttp.Diagnosis {
		switch {
		case clockOff(said):
			return cloudhttp.Diagnosis{Problem: "the registry does not accept the node's signature, by its time", Advice: "check the node's clock"}
		case r.Unauthorized():
			return cloudhttp.Diagnosis{Problem: "the registry does not know the identity or its key", Advice: s.unknown()}
		case r.Status == http.StatusForbidden || said.Code == codeDenied:
			return cloudhttp.Diagnosis{Problem: "the registry gives this identity no token", Advice: s.principal.grant}
		case r.Status == http.StatusNotFound || r.Status == http.StatusMethodNotAllowed:
			return cloudhttp.Diagnosis{Problem: "the registry has no tokens at this address", Advice: "check the host, and --token-path"}
		default:
			return cloudhttp.Diagnosis{Problem: "the registry refuses the request"}
		}
	})
}

// unknown says what to do where the registry does not know who asks. Identities are
// known in the regions that their tenancy is subscribed to, and a node's own is one.
func (s *registryToken) unknown() string {
	here := s.endpoints.node.Load()
	switch {
	case s.principal.grant == grantUser:
		return "the key has to be one of the user's, and the tenancy be subscribed to the region"
	case here != nil && s.registry.region != "" && s.registry.region != here.region:
		return "the tenancy has to be subscribed to region " + s.registry.region
	default:
		return ""
	}
}

// explainProbe is about a repository that may not be read.
func (s *pull) explainProbe(r cloudhttp.Reply, caller string) *credential.Failure {
	said := readSaid(r)
	return r.Failure(cloudhttp.Diagnosis{
		Problem:   "the identity may not read repository " + s.repository,
		Advice:    s.token.principal.grant,
		Permanent: true,
	}, said, cmp.Or(caller, s.token.principal.String()))
}
