package acr

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// identityBinding is the token of a managed identity that is bound to an AKS
// cluster: the cluster's own server exchanges a pod's token for it.
type identityBinding struct {
	bindings IdentityBindings
	client   string
	tenant   string
	audience string
	pod      *serviceaccount.Token
	scope    serviceaccount.Scope
}

// Key says who the pod is and as whom it asks where.
func (s *identityBinding) Key() credential.Key {
	return slices.Concat([]string{"acr", "identity-binding", s.bindings.SNIName, s.bindings.APIServerIP, s.bindings.CertificateAuthority, strings.ToLower(s.client), s.audience}, s.pod.Identity(s.scope))
}

// Fetch asks the server, at the address that was configured and nowhere else.
func (s *identityBinding) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	client, err := cloudhttp.Pinned(s.bindings.APIServerIP, s.bindings.SNIName, s.bindings.CertificateAuthority)
	if err != nil {
		return credential.Credential{}, s.who().explain(fileProblem(err))
	}
	return s.fetch(ctx, client)
}

func (s *identityBinding) fetch(ctx context.Context, client *http.Client) (credential.Credential, error) {
	form := url.Values{
		"grant_type": {"client_credentials"},
		"client_id":  {s.client},
		"scope":      {s.audience + "/.default"},
	}
	addAssertion(form, s.pod.Reveal())
	r := call{stage: stageBinding, url: "https://" + s.bindings.SNIName, form: form}.do(ctx, client)
	return s.who().readEntraToken(r)
}

func (s *identityBinding) who() who {
	return who{name: s.pod.String() + " as managed identity " + s.client, tenant: s.tenant, audience: s.audience, client: s.client, pod: s.pod, federation: bindingAudience}
}

// bindingAudience is the audience of the tokens of pods that are exchanged
// there.
const bindingAudience = "api://AKSIdentityBinding"
