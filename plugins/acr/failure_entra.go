package acr

import (
	"crypto/x509"
	"errors"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

const (
	audienceProblem = "the audience is not known in the tenant"
	audienceAdvice  = "check --audience and the tenant"
)

// service is Entra.
func (s *application) service() service {
	return service{
		Service:  cloudhttp.Service{Name: "Entra"},
		identity: s.identity(),
		audience: s.audience,
		diagnose: func(_ cloudhttp.Reply, said cloudhttp.Said) cloudhttp.Diagnosis { return s.diagnose(said) },
	}
}

// diagnose says what Entra's refusal means, by its number.
func (s *application) diagnose(said cloudhttp.Said) cloudhttp.Diagnosis {
	d, ok := s.auth.diagnose(said.Code, s.client)
	if ok {
		return d
	}
	switch said.Code {
	case "":
		d, _ = diagnosis("what answers at "+s.authority+" does not answer as Entra does", "something else may answer in its place: check proxies")
	case "AADSTS700016":
		d, _ = diagnosis("there is no application or managed identity "+s.client+" in tenant "+s.tenant, "check both ids; an application of another tenant needs consent there first")
	case "AADSTS7000229":
		d, _ = diagnosis("application "+s.client+" has no service principal in tenant "+s.tenant, "an administrator of that tenant has to consent to it")
	case "AADSTS7000112":
		d, _ = diagnosis("application "+s.client+" is disabled", "enable it")
	case "AADSTS90002", "AADSTS900021", "AADSTS900023":
		d, _ = diagnosis("there is no tenant "+s.tenant+" in this cloud", "check the tenant and --cloud")
	case "AADSTS90038", "AADSTS900382":
		d, _ = diagnosis("tenant "+s.tenant+" or application "+s.client+" is of another cloud", "check --cloud, and the tenant")
	case "AADSTS53003":
		d, _ = diagnosis("a Conditional Access policy for workload identities blocks this node", "let its addresses in")
	case "AADSTS500011", "AADSTS50001":
		d, _ = diagnosis(audienceProblem, audienceAdvice)
	default:
		d, _ = diagnosis("Entra refuses the application", "")
		if isEntraNumber(said.Code) {
			d.Advice = "look the code up in Microsoft's list of Entra's errors"
		}
	}
	return d
}

// service is the server of an AKS cluster that exchanges the tokens of pods.
func (s *identityBinding) service() service {
	return service{
		Service:  cloudhttp.Service{Name: "the cluster's identity binding server", CAFlag: "--ib-ca-file"},
		identity: s.identity(),
		audience: s.audience,
		diagnose: func(cloudhttp.Reply, cloudhttp.Said) cloudhttp.Diagnosis {
			d, _ := diagnosis("the cluster does not exchange the token of "+s.pod.String()+" for one of managed identity "+s.client,
				"the identity has to be bound to this cluster and to "+s.pod.Subject+", and the kubelet's serviceAccountTokenAudience has to be "+bindingAudience)
			return d
		},
	}
}

// errServer is the failure of an address where another server is.
func (s *identityBinding) errServer(r cloudhttp.Reply) *credential.Failure {
	return r.Failure(cloudhttp.Diagnosis{
		Problem:   "the server at " + s.bindings.address + " has no certificate for " + s.bindings.server,
		Advice:    "check --ib-apiserver-ip and --ib-sni-name",
		Permanent: true,
	}, cloudhttp.Said{}, s.service().caller())
}

// isOtherServer reports whether a server proves another name than the one that
// was asked for.
func isOtherServer(err error) bool {
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}
