package acr

import (
	"context"
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
	bindings      *bindings
	client        string
	audience      string
	pod           *serviceaccount.Token
	identityScope serviceaccount.Scope
	endpoints     *endpoints
}

// bindings are where AKS exchanges the tokens of pods.
type bindings struct {
	// server is the name that the server proves by its certificate, and address
	// where it is connected to, as HOST:PORT.
	server, address string
	// caFile holds the only certificate authorities that are trusted there.
	caFile string
	// client and tenant are of pods whose service account names none.
	client, tenant string
}

// bindingAudience is the audience of the tokens of pods that are exchanged
// there.
const bindingAudience = "api://AKSIdentityBinding"

func (s *identityBinding) identity() string {
	return s.pod.String() + " as managed identity " + s.client
}

// String says who is asked for what, and as whom.
func (s *identityBinding) String() string {
	return "the cluster's server " + s.bindings.server + " for " + s.audience + " as " + s.identity()
}

// Key says who the pod is and as whom it asks where.
func (s *identityBinding) Key() credential.Key {
	b := s.bindings
	return slices.Concat(credential.Key{"acr", "identity-binding", b.server, b.address, b.caFile, strings.ToLower(s.client), s.audience}, s.pod.Identity(s.identityScope))
}

// Fetch asks the server, at the address that was configured and nowhere else.
func (s *identityBinding) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	form := url.Values{
		"grant_type": {"client_credentials"},
		"client_id":  {s.client},
		"scope":      {s.audience + "/.default"},
	}
	addAssertion(form, s.pod.Reveal())
	client := s.endpoints.clients.Pinned(s.bindings.address, s.bindings.server, s.bindings.caFile)
	r := cloudhttp.Call{Stage: stageBinding, URL: "https://" + s.bindings.server, Form: form}.Do(ctx, client)
	if isOtherServer(r.Err) {
		return credential.Token{}, s.errServer(r)
	}
	return s.service().entraToken(r)
}

// elsewhere says that the identity has one tenant.
func (s *identityBinding) elsewhere(loginServer) string {
	return "a managed identity has no rights in other tenants"
}
