package acr

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// entraSource is where an Entra token is from.
type entraSource interface {
	credential.Source
	who() who
}

// application is the token of an application, which asks Entra by itself.
type application struct {
	authority string
	tenant    string
	client    string
	audience  string
	caFile    string
	proof     proof
}

// Key says who asks whom for what, and how it is shown. Names of applications
// and tenants are the same in any case.
func (s *application) Key() credential.Key {
	return slices.Concat([]string{"acr", "entra", s.authority, strings.ToLower(s.tenant), strings.ToLower(s.client), s.audience}, s.proof.key())
}

// Fetch asks Entra once, or twice where it refuses the proof that is kept.
func (s *application) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	api, err := cloudhttp.API(s.caFile)
	if err != nil {
		return credential.Credential{}, s.who().explain(fileProblem(err))
	}
	return s.fetch(ctx, getter, api)
}

func (s *application) fetch(ctx context.Context, getter credential.Getter, client *http.Client) (credential.Credential, error) {
	endpoint := "https://" + s.authority + "/" + s.tenant + "/oauth2/v2.0/token"
	form := url.Values{
		"grant_type": {"client_credentials"},
		"client_id":  {s.client},
		"scope":      {s.audience + "/.default"},
	}
	ask := func() (c credential.Credential, refused bool, err error) {
		r := call{stage: stageEntra, url: endpoint, form: form}.do(ctx, client)
		c, err = s.who().readEntraToken(r)
		return c, r.unauthorized(), err
	}
	switch p := s.proof.(type) {
	case managedProof:
		return credential.Redeem(ctx, getter, p.identity, func(token credential.Secret) (credential.Credential, bool, error) {
			addAssertion(form, token.Reveal())
			return ask()
		})
	case ownProof:
		if err := p.add(form, endpoint); err != nil {
			return credential.Credential{}, s.who().explain(fileProblem(err))
		}
	}
	c, _, err := ask()
	return c, err
}

func (s *application) who() who {
	w := who{name: "application " + s.client, tenant: s.tenant, audience: s.audience, client: s.client}
	s.proof.describe(&w)
	return w
}

// readEntraToken reads the token that a service answered with, or explains why
// there is none.
func (w who) readEntraToken(r reply) (credential.Credential, error) {
	if !r.ok() {
		return credential.Credential{}, w.explain(r.dissect(nil))
	}
	var a entraAnswer
	err := r.decode(&a)
	var c credential.Credential
	if err == nil {
		c, err = a.credential(r.date())
	}
	if err != nil {
		return credential.Credential{}, w.explain(r.dissect(err))
	}
	return c, nil
}
