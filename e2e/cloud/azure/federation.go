package azure

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

const invalidClient = "invalid_client"

// foreign is what an assertion of somebody else says.
type foreign struct {
	issuer, subject string
	audiences       []string
}

// checkFederated checks an assertion that is somebody else's token: a service
// account's, or a managed identity's. It returns whose.
func (f *Fake) checkFederated(text string, app App) (subject string, err error) {
	var token foreign
	if own, ok := f.Token(text); ok {
		token, err = f.readOwn(own, app)
	} else {
		token, err = f.readServiceAccount(text)
	}
	if err != nil {
		return token.subject, err
	}
	if len(app.Federated) == 0 {
		return token.subject, fake.Refuse(http.StatusUnauthorized, invalidClient,
			"AADSTS70025: The client '%s' has no configured federated identity credentials.", app.ClientID)
	}
	candidates := slices.Clone(app.Federated)
	for _, step := range []struct {
		code, what string
		matches    func(FederatedCredential) bool
	}{
		{"700211", "issuer", func(c FederatedCredential) bool { return c.Issuer == token.issuer }},
		{"700213", "subject", func(c FederatedCredential) bool { return c.Subject == token.subject }},
		{"700212", "audience", func(c FederatedCredential) bool { return slices.Contains(token.audiences, c.Audience) }},
	} {
		candidates = slices.DeleteFunc(candidates, func(c FederatedCredential) bool { return !step.matches(c) })
		if len(candidates) == 0 {
			return token.subject, fake.Refuse(http.StatusUnauthorized, invalidClient,
				"AADSTS%s: No matching federated identity record found for presented assertion %s. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.",
				step.code, step.what)
		}
	}
	return token.subject, nil
}

// readOwn reads a token of Entra's own. Only a user-assigned identity's will
// do, in the tenant in which the app was registered.
func (f *Fake) readOwn(own Token, app App) (foreign, error) {
	token := foreign{issuer: own.Issuer, subject: own.Subject, audiences: []string{own.Audience}}
	switch {
	case !own.assigned || own.Principal.Tenant != app.Tenants[0]:
		return token, fake.Refuse(http.StatusUnauthorized, invalidClient,
			"AADSTS700236: Entra ID tokens issued by issuer '%s' may not be used for federated identity credential flows for applications or managed identities registered in this tenant.", own.Issuer)
	case !f.Now().Before(own.Expires):
		return token, outOfTime()
	}
	return token, nil
}

// readServiceAccount verifies a service account's token.
func (f *Fake) readServiceAccount(text string) (foreign, error) {
	segments := strings.Split(text, ".")
	var claimed struct {
		Issuer string `json:"iss"`
	}
	if len(segments) != 3 || fake.DecodeSegment(segments[1], &claimed) != nil {
		return foreign{}, wrongAssertion("it is no signed JWT")
	}
	if claimed.Issuer != f.Issuer.URL {
		return foreign{}, fake.Refuse(http.StatusUnauthorized, invalidClient,
			"AADSTS700211: No matching federated identity record found for presented assertion issuer '%s'.", claimed.Issuer)
	}
	claims, err := f.Issuer.Verify(text)
	if err != nil {
		return foreign{}, fake.Refuse(http.StatusUnauthorized, invalidClient, "AADSTS50013: Assertion failed signature validation.")
	}
	token := foreign{issuer: claims.Issuer, subject: claims.Subject, audiences: claims.Audience}
	if err := claims.Check(firstOf(claims.Audience), f.Now()); errors.Is(err, oidc.ErrExpired) || errors.Is(err, oidc.ErrEarly) {
		return token, outOfTime()
	}
	return token, nil
}

func firstOf(audiences []string) string {
	if len(audiences) == 0 {
		return ""
	}
	return audiences[0]
}

func outOfTime() error {
	return fake.Refuse(http.StatusUnauthorized, invalidClient, "AADSTS700024: Client assertion is not within its valid time range.")
}
