package acr

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/jwt"
)

const (
	// tokenUser goes with a registry's token as the password.
	tokenUser = "00000000-0000-0000-0000-000000000000"

	// shortLife is what a registry's token is believed to live that does not
	// say.
	shortLife = 5 * time.Minute

	// freshFor is after how long a registry's token is asked for again:
	// switching a registry to attribute-based access control makes those from
	// before useless.
	freshFor = 30 * time.Minute
)

// refreshToken is a registry token for whoever has an Entra token. It is good for
// the registry it is from, and for all of it that its owner may do.
type refreshToken struct {
	server loginServer
	// tenant is told to the registry. Empty tells it none.
	tenant    string
	entra     entraSource
	endpoints *endpoints
}

// String says who is asked for what, and as whom.
func (s *refreshToken) String() string { return s.describe("a registry token") }

func (s *refreshToken) describe(what string) string {
	text := s.server.host + " for " + what
	if s.tenant != "" {
		text += " in tenant " + s.tenant
	}
	return text + ", by way of " + s.entra.String()
}

// Key says at which registry, and whose token is exchanged.
func (s *refreshToken) Key() credential.Key {
	return slices.Concat(credential.Key{"acr", "exchange", s.server.host, strings.ToLower(s.tenant)}, s.entra.Key())
}

// Fetch exchanges the Entra token, which is shared with other registries. One
// that is kept may be refused in spite of its life: its identity was made again.
func (s *refreshToken) Fetch(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	return credential.Redeem(ctx, getter, s.entra, func(entra credential.Token) (credential.Token, bool, error) {
		form := url.Values{
			"grant_type":   {"access_token"},
			"access_token": {entra.Value.Reveal()},
		}
		if s.tenant != "" {
			form.Set("tenant", s.tenant)
		}
		return s.ask(ctx, s.service(entra, "from this registry"), stageExchange, "/oauth2/exchange", form)
	})
}

// accessToken is a registry token to pull from one repository.
type accessToken struct {
	repository string
	refresh    *refreshToken
}

// String says who is asked for what, and as whom.
func (s *accessToken) String() string {
	return s.refresh.describe("a token to pull " + s.repository)
}

// Key says from which repository.
func (s *accessToken) Key() credential.Key {
	return slices.Concat(credential.Key{"acr", "repository", s.repository}, s.refresh.Key())
}

// Fetch asks with the refresh token, which is shared with the other repositories.
// One that is kept may be refused in spite of its life: it is from before the
// registry was switched to permissions for repositories.
func (s *accessToken) Fetch(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	return credential.Redeem(ctx, getter, s.refresh, func(refresh credential.Token) (credential.Token, bool, error) {
		return s.refresh.ask(ctx, s.refresh.service(refresh, s.repository), stageToken, "/oauth2/token", url.Values{
			"grant_type":    {"refresh_token"},
			"scope":         {"repository:" + s.repository + ":pull"},
			"refresh_token": {refresh.Value.Reveal()},
		})
	})
}

// ask posts a form to the registry and reads the token that it answers with.
func (s *refreshToken) ask(ctx context.Context, registry service, stage, path string, form url.Values) (token credential.Token, refused bool, err error) {
	form.Set("service", s.server.host)
	r := cloudhttp.Call{Stage: stage, URL: "https://" + s.server.host + path, Form: form}.Do(ctx, s.endpoints.clients.API())
	token, err = registry.registryToken(r)
	return token, r.Unauthorized(), err
}

// registryToken reads the token that a registry answered with, or explains why
// there is none. It has its end in itself alone.
func (s service) registryToken(r cloudhttp.Reply) (credential.Token, error) {
	if !r.OK() {
		return credential.Token{}, s.failure(r)
	}
	var answer struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	if err := r.Decode(&answer); err != nil {
		return credential.Token{}, s.useless(r, err)
	}
	value := answer.RefreshToken
	if r.Stage == stageToken {
		value = answer.AccessToken
	}
	expires := r.Received.Add(shortLife)
	if end, ok := jwt.Expiry(value); ok {
		expires = r.OwnTime(end)
	}
	token, err := credential.NewToken(value, expires)
	if err != nil {
		return credential.Token{}, s.useless(r, err)
	}
	token.Refresh = r.Received.Add(freshFor)
	token.Caller = s.identity
	return token, nil
}
