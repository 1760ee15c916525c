package acr

import (
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// service is Azure's metadata service.
func (s *managedIdentity) service() service {
	return service{
		Service: cloudhttp.Service{
			Name:      "Azure's metadata service",
			Elsewhere: "off Azure, name another identity with --credential, such as --credential=" + arc + " on a machine that Azure Arc manages",
			Own:       isAzure,
		},
		identity: s.identity(),
		audience: s.audience,
		diagnose: func(r cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis {
			if isUpdate(r) {
				return cloudhttp.Diagnosis{Problem: "Azure's metadata service is being updated", Advice: "the next attempt is made after a pause"}
			}
			return s.selector.diagnose(r, said)
		},
	}
}

// service is the agent of Azure Arc.
func (s *arcIdentity) service() service {
	return service{
		Service: cloudhttp.Service{
			Name:      "the Connected Machine agent (himds)",
			Elsewhere: "on a machine that Azure Arc does not manage, name another identity with --credential",
		},
		identity: s.identity(),
		audience: s.audience,
		diagnose: func(r cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis {
			switch r.Status {
			case http.StatusUnauthorized:
				return diagnoseKey(nil)
			case http.StatusForbidden:
				return cloudhttp.Diagnosis{Problem: "the Connected Machine agent (himds) refuses this process", Permanent: true}
			}
			return s.selector.diagnose(r, said)
		},
	}
}

// diagnose says what a machine's refusal means. By code they are much the same,
// so the text decides.
func (s selector) diagnose(r cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis {
	d := cloudhttp.Diagnosis{Problem: "the machine refuses to answer", Permanent: true}
	text := strings.ToLower(said.Code + " " + said.Text)
	unknown := isUnassigned(said)
	switch {
	case r.Status == http.StatusForbidden:
		d.Problem = "something denies this process Azure's metadata service"
		d.Advice = "check the node's network policies and proxies"
	case strings.Contains(text, "aadsts500011") || strings.Contains(text, "aadsts50001") || strings.Contains(text, "invalid_resource"):
		d.Problem, d.Advice = audienceProblem, audienceAdvice
	case unknown && s.parameter != "":
		d.Problem = s.String() + " is not assigned to this machine"
		d.Advice = "assign it, or correct its id"
	case strings.Contains(text, "multiple"):
		d.Problem = "several managed identities are assigned to this machine"
		d.Advice = "say which with --client-id, or userAssignedIdentityID in azure.json"
	case unknown:
		d.Problem = "the machine has no system-assigned identity"
		d.Advice = "assign one, or name a user-assigned one with --client-id, or userAssignedIdentityID in azure.json"
	case r.Status == http.StatusBadRequest:
		d.Advice = "check the identity's id and --audience"
	}
	return d
}

// isUnassigned reports whether the machine says that it has no such identity.
func isUnassigned(said cloudhttp.Said) bool {
	return strings.Contains(strings.ToLower(said.Text), "identity not found")
}

// errIssuer is the failure of a machine whose cloud is not the one that would
// have been taken for it.
func (s *managedIdentity) errIssuer(token credential.Token) *credential.Failure {
	return &credential.Failure{
		Problem:   "the machine's token is not of " + publicCloud + ", and registries of it must not see it",
		Advice:    "name the file that describes the node's cloud in " + environmentVariable,
		Evidence:  stageMetadata + "; as " + token.Caller,
		Err:       errors.New("token of another cloud"),
		Permanent: true,
	}
}

// errKey is the failure of an agent whose key cannot be shown to it.
func (s *arcIdentity) errKey(r cloudhttp.Reply, err error) *credential.Failure {
	failure := r.Failure(diagnoseKey(err), cloudhttp.Said{}, s.service().caller())
	failure.Err = err
	return failure
}

// diagnoseKey is about the key that the agent of Arc wants to be shown. Without
// an error it is the agent that refuses it.
func diagnoseKey(err error) cloudhttp.Diagnosis {
	d := cloudhttp.Diagnosis{Problem: "the Connected Machine agent (himds) refuses its key", Permanent: true}
	if err != nil {
		d.Problem = "the key of the Connected Machine agent (himds) cannot be read: " + err.Error()
	}
	switch {
	case err == nil || errors.Is(err, fs.ErrPermission):
		d.Advice = "the plugin has to run as root or in the group himds"
	case errors.Is(err, fs.ErrNotExist):
		d.Advice = "the plugin has to see the files of the machine's agent"
	default:
		d.Advice = "something else may listen in place of the agent"
	}
	return d
}

// errEcho is the failure of an agent that answers for somebody else, or does
// not say for whom.
func (s *arcIdentity) errEcho(r cloudhttp.Reply) *credential.Failure {
	return r.Failure(cloudhttp.Diagnosis{
		Problem:   "the Connected Machine agent (himds) does not say that the token is of this identity",
		Advice:    "bring the agent up to date: older ones pass over which identity is asked for",
		Permanent: true,
	}, cloudhttp.Said{}, s.service().caller())
}
