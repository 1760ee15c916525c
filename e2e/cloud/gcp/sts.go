package gcp

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// The values of a token exchange, RFC 8693.
const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
	jwtType         = "urn:ietf:params:oauth:token-type:jwt"
	idTokenType     = "urn:ietf:params:oauth:token-type:id_token"
)

// STS is the Security Token Service: it exchanges a service account's token
// for an access token of the principal that the token's provider makes of it.
// Its one operation is ExchangeToken.
func (f *Fake) STS() http.Handler {
	return f.Front(&cloud.Service{
		Name:      "sts",
		Operation: func(*cloud.Request) string { return "ExchangeToken" },
		Answer:    f.answerSTS,
		Refuse:    fake.WordOAuth,
	})
}

func (f *Fake) answerSTS(x *cloud.Exchange, r *cloud.Request) error {
	fields, err := exchangeFields(r)
	if err != nil {
		return err
	}
	scopes, err := checkExchange(fields)
	if err != nil {
		return err
	}
	provider, ok := f.identities.provider(fields["audience"])
	if !ok || provider.Disabled {
		return fake.Refuse(http.StatusBadRequest, "invalid_target", "The target service indicated by the \"audience\" parameters is invalid. "+
			"This might either be because the pool or provider is disabled or deleted or because it doesn't exist.")
	}
	claims, err := f.verifySubject(provider, fields["subject_token"])
	x.Summarize("%s at %s", claims.Subject, fields["audience"])
	if err != nil {
		return err
	}
	issued := f.issue(f.Current().STS, Token{
		Principal: provider.Principal(claims.Subject), Service: "sts", Scopes: scopes,
	})
	answer := issued.OAuth(f.Now())
	answer["issued_token_type"] = accessTokenType
	return fake.AnswerJSON(x, answer)
}

// exchangeFields reads a form or a JSON object, whose names are then those of
// the form or the same in camel case. Each occurs once, and none is unknown.
func exchangeFields(r *cloud.Request) (map[string]string, error) {
	switch {
	case r.URL.RequestURI() != "/v1/token":
		return nil, fake.RefuseForm(http.StatusNotFound, "not_found", "no such path")
	case r.Method != http.MethodPost:
		return nil, fake.RefuseForm(http.StatusMethodNotAllowed, "invalid_request", "only POST is allowed")
	case r.Header.Get("Authorization") != "":
		return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_request", "a token exchange is proved by its subject token: an Authorization header makes it fail")
	}
	if fake.HasKind(r, "application/json") {
		return jsonFields(r.Body)
	}
	fields, err := fake.Form(r, exchangeNames...)
	if err != nil {
		return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_request", "%v", err)
	}
	return fields, nil
}

var exchangeNames = []string{
	"grant_type", "audience", "scope", "requested_token_type", "subject_token", "subject_token_type", "options",
}

func jsonFields(body []byte) (map[string]string, error) {
	var object map[string]string
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_request", "Invalid JSON payload received.")
	}
	fields := map[string]string{}
	for name, value := range object {
		for _, known := range exchangeNames {
			if strings.EqualFold(name, strings.ReplaceAll(known, "_", "")) {
				name = known
			}
		}
		if !slices.Contains(exchangeNames, name) {
			return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_request", "unknown field %q", name)
		}
		fields[name] = value
	}
	return fields, nil
}

// checkExchange checks every field but whom the subject token belongs to.
func checkExchange(fields map[string]string) (scopes []string, err error) {
	const invalid = "Invalid value for \"%s\"."
	switch {
	case fields["grant_type"] != exchangeGrant:
		return nil, fake.RefuseForm(http.StatusBadRequest, "unsupported_grant_type", invalid, "grant_type")
	case fields["requested_token_type"] != accessTokenType:
		return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_request", invalid, "requested_token_type")
	case fields["subject_token_type"] != jwtType && fields["subject_token_type"] != idTokenType:
		return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_request", invalid, "subject_token_type")
	case fields["subject_token"] == "":
		return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_request", invalid, "subject_token")
	case !audienceGrammar.MatchString(fields["audience"]):
		return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_request", invalid, "audience")
	}
	scopes = strings.Fields(fields["scope"])
	if len(scopes) == 0 || slices.ContainsFunc(scopes, func(scope string) bool { return !wellFormedScope(scope) }) {
		return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_scope", invalid, "scope")
	}
	return scopes, nil
}

// longestLife is how long after its making a subject token may expire.
const longestLife = 48 * 60 * 60

// verifySubject words what is wrong with a workload's token as STS does.
func (f *Fake) verifySubject(provider Provider, token string) (oidc.Claims, error) {
	claims, err := provider.Issuer.Verify(token)
	if err != nil {
		return claims, fake.Refuse(http.StatusBadRequest, "invalid_grant", "Error connecting to the given credential's issuer, or its signature is not valid: %v", err)
	}
	if claims.Subject == "" || claims.IssuedAt == 0 || claims.Expires-claims.IssuedAt > longestLife {
		return claims, fake.Refuse(http.StatusBadRequest, "invalid_grant", "The subject token lacks a claim, or lives for longer than 48 hours.")
	}
	err = oidc.ErrAudience
	for _, audience := range provider.TokenAudiences {
		if err = claims.Check(audience, f.Now()); !errors.Is(err, oidc.ErrAudience) {
			break
		}
	}
	switch {
	case errors.Is(err, oidc.ErrAudience):
		return claims, fake.Refuse(http.StatusBadRequest, "invalid_grant", "The audience in ID Token %v does not match the expected audience.", []string(claims.Audience))
	case errors.Is(err, oidc.ErrExpired):
		return claims, fake.Refuse(http.StatusBadRequest, "invalid_grant", "ID Token issued at %d is stale to sign-in.", claims.IssuedAt)
	case err != nil:
		return claims, fake.Refuse(http.StatusBadRequest, "invalid_grant", "%v", err)
	}
	return claims, nil
}
