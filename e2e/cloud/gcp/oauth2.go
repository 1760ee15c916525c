package gcp

import (
	"net/http"
	"slices"
	"strings"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

const (
	tokenEndpoint = "https://oauth2.googleapis.com/token"
	jwtGrant      = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// OAuth2 is the token endpoint at which the holder of a service account's key
// signs for a token, RFC 7523. Its one operation is GrantToken.
func (f *Fake) OAuth2() http.Handler {
	return f.Front(&cloud.Service{
		Name:      "oauth2",
		Operation: func(*cloud.Request) string { return "GrantToken" },
		Answer:    f.answerOAuth2,
		Refuse:    fake.WordOAuth,
	})
}

func (f *Fake) answerOAuth2(x *cloud.Exchange, r *cloud.Request) error {
	if r.URL.RequestURI() != "/token" || r.Method != http.MethodPost {
		return fake.RefuseForm(http.StatusNotFound, "not_found", "no such path")
	}
	fields, err := fake.Form(r, "grant_type", "assertion")
	switch {
	case err != nil:
		return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "%v", err)
	case fields["grant_type"] != jwtGrant:
		return fake.RefuseForm(http.StatusBadRequest, "unsupported_grant_type", "Invalid grant_type: %s", fields["grant_type"])
	case fields["assertion"] == "":
		return fake.RefuseForm(http.StatusBadRequest, "invalid_request", "there is no assertion")
	}
	claims, err := f.identities.verify(fields["assertion"])
	if err != nil {
		return fake.Refuse(http.StatusBadRequest, "invalid_grant", "Invalid JWT Signature.")
	}
	x.Summarize("%s", claims.Issuer)
	scopes, err := f.checkAssertion(claims)
	if err != nil {
		return err
	}
	issued := f.issue(f.Current().OAuth2, Token{Principal: Account(claims.Issuer), Service: "oauth2", Scopes: scopes})
	return fake.AnswerJSON(x, issued.OAuth(f.Now()))
}

// checkAssertion checks what a well-signed assertion says. One that lives for
// longer than an hour is refused, and so is one on behalf of somebody else:
// that takes a delegation that no service account here has.
func (f *Fake) checkAssertion(claims assertion) (scopes []string, err error) {
	now := f.Now().Unix()
	switch {
	case claims.Audience != tokenEndpoint:
		return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_grant", "Invalid JWT: the audience is %q.", claims.Audience)
	case claims.Subject != "" && claims.Subject != claims.Issuer:
		return nil, fake.RefuseForm(http.StatusBadRequest, "unauthorized_client", "Client is unauthorized to retrieve access tokens using this method.")
	case now >= claims.Expires || now < claims.IssuedAt-60 || claims.Expires-claims.IssuedAt > 3600:
		return nil, fake.Refuse(http.StatusBadRequest, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.")
	}
	scopes = strings.Fields(claims.Scope)
	if len(scopes) == 0 || slices.ContainsFunc(scopes, func(scope string) bool { return !wellFormedScope(scope) }) {
		return nil, fake.RefuseForm(http.StatusBadRequest, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
	}
	return scopes, nil
}
