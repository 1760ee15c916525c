package acr

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// application is the token of an application, which asks Entra by itself.
type application struct {
	authority string
	tenant    string
	client    string
	audience  string
	auth      clientAuth
	endpoints *endpoints
}

func (s *application) identity() string {
	return s.auth.as("application " + s.client + " of tenant " + s.tenant)
}

// String says who is asked for what, and as whom.
func (s *application) String() string {
	return "Entra at " + s.authority + " for " + s.audience + " as " + s.identity()
}

// Key says who asks whom for what, and how it is shown. Names of applications
// and tenants are the same in any case.
func (s *application) Key() credential.Key {
	return slices.Concat(credential.Key{"acr", "entra", s.authority, strings.ToLower(s.tenant), strings.ToLower(s.client), s.audience}, s.auth.key())
}

// Fetch asks Entra once, or twice where it refuses a kept token of the managed
// identity that vouches for the application.
func (s *application) Fetch(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	endpoint := "https://" + s.authority + "/" + s.tenant + "/oauth2/v2.0/token"
	form := url.Values{
		"grant_type": {"client_credentials"},
		"client_id":  {s.client},
		"scope":      {s.audience + "/.default"},
	}
	ask := func() (token credential.Token, refused bool, err error) {
		r := cloudhttp.Call{Stage: stageEntra, URL: endpoint, Form: form}.Do(ctx, s.endpoints.clients.API())
		token, err = s.service().entraToken(r)
		return token, r.Unauthorized(), err
	}
	switch auth := s.auth.(type) {
	case managedAuth:
		return credential.Redeem(ctx, getter, auth.source, func(assertion credential.Token) (credential.Token, bool, error) {
			addAssertion(form, assertion.Value.Reveal())
			return ask()
		})
	case ownAuth:
		if failure := auth.add(form, endpoint); failure != nil {
			failure.Evidence = stageFile + "; as " + s.identity()
			return credential.Token{}, failure
		}
	}
	token, _, err := ask()
	return token, err
}

// elsewhere says where an application's tenant is set.
func (s *application) elsewhere(server loginServer) string {
	if _, ok := s.auth.(podAuth); ok {
		return "name the registry's tenant in the service account's annotation " + tenantAnnotation
	}
	return fmt.Sprintf("name the registry's tenant in registries[%q].tenantID", server.host)
}
