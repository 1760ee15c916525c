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

// refreshToken is a registry token for whoever has an Entra token. It is good for
// the registry it is from, and for all of it that its owner may do.
type refreshToken struct {
	// server is the login server, in lower case.
	server string
	// tenant is told to the registry. Empty tells it none.
	tenant string
	entra  entraSource
	caFile string
}

// Key says at which registry, and whose token is exchanged.
func (s *refreshToken) Key() credential.Key {
	return slices.Concat([]string{"acr", "exchange", s.server, strings.ToLower(s.tenant)}, s.entra.Key())
}

// Fetch exchanges the Entra token, which is shared with other registries. One
// that is kept may be refused in spite of its life: its identity was made anew.
func (s *refreshToken) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	api, err := cloudhttp.API(s.caFile)
	if err != nil {
		return credential.Credential{}, s.who().explain(fileProblem(err))
	}
	return s.fetch(ctx, getter, api)
}

func (s *refreshToken) fetch(ctx context.Context, getter credential.Getter, client *http.Client) (credential.Credential, error) {
	return credential.Redeem(ctx, getter, s.entra, func(token credential.Secret) (credential.Credential, bool, error) {
		return s.exchange(ctx, client, token)
	})
}

func (s *refreshToken) exchange(ctx context.Context, client *http.Client, token credential.Secret) (c credential.Credential, refused bool, err error) {
	form := url.Values{
		"grant_type":   {"access_token"},
		"service":      {s.server},
		"access_token": {token.Reveal()},
	}
	if s.tenant != "" {
		form.Set("tenant", s.tenant)
	}
	r := call{stage: stageExchange, url: "https://" + s.server + "/oauth2/exchange", form: form}.do(ctx, client)
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	c, err = s.who().readRegistryToken(r, &answer, &answer.RefreshToken)
	return c, r.unauthorized(), err
}

func (s *refreshToken) who() who {
	w := s.entra.who()
	w.tenant = s.tenant
	return w
}

// accessToken is a registry token to pull from one repository.
type accessToken struct {
	repository string
	refresh    *refreshToken
}

// Key says from which repository.
func (s *accessToken) Key() credential.Key {
	return slices.Concat([]string{"acr", "repository", s.repository}, s.refresh.Key())
}

// Fetch asks with the refresh token, which is shared with the other repositories.
// One that is kept may be refused in spite of its life: it is from before the
// registry was switched to permissions for repositories.
func (s *accessToken) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	api, err := cloudhttp.API(s.refresh.caFile)
	if err != nil {
		return credential.Credential{}, s.who().explain(fileProblem(err))
	}
	return s.fetch(ctx, getter, api)
}

func (s *accessToken) fetch(ctx context.Context, getter credential.Getter, client *http.Client) (credential.Credential, error) {
	return credential.Redeem(ctx, getter, s.refresh, func(token credential.Secret) (credential.Credential, bool, error) {
		return s.ask(ctx, client, token)
	})
}

func (s *accessToken) ask(ctx context.Context, client *http.Client, token credential.Secret) (c credential.Credential, refused bool, err error) {
	form := url.Values{
		"grant_type":    {"refresh_token"},
		"service":       {s.refresh.server},
		"scope":         {"repository:" + s.repository + ":pull"},
		"refresh_token": {token.Reveal()},
	}
	r := call{stage: stageToken, url: "https://" + s.refresh.server + "/oauth2/token", form: form}.do(ctx, client)
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	c, err = s.who().readRegistryToken(r, &answer, &answer.AccessToken)
	return c, r.unauthorized(), err
}

func (s *accessToken) who() who {
	w := s.refresh.who()
	w.repository = s.repository
	return w
}

// readRegistryToken reads the token that a registry answered with, or explains
// why there is none.
func (w who) readRegistryToken(r reply, answer any, token *string) (credential.Credential, error) {
	if !r.ok() {
		return credential.Credential{}, w.explain(r.dissect(nil))
	}
	err := r.decode(answer)
	var c credential.Credential
	if err == nil {
		c, err = registryToken(*token, r.date())
	}
	if err != nil {
		return credential.Credential{}, w.explain(r.dissect(err))
	}
	return c, nil
}
