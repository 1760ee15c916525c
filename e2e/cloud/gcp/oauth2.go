package gcp

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"regcred/e2e/cloud"
)

const (
	tokenEndpoint = "https://oauth2.googleapis.com/token"
	jwtGrant      = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// OAuth2 is the token endpoint at which the holder of a service account's key
// signs for a token, RFC 7523. Its one operation is GrantToken.
func (f *Fake) OAuth2() http.Handler {
	return f.service(&cloud.Service{
		Name:      "oauth2",
		Operation: func(*cloud.Request) string { return "GrantToken" },
		Answer:    f.answerOAuth2,
		Refuse:    refuseOAuth,
	})
}

func (f *Fake) answerOAuth2(x *cloud.Exchange, r *cloud.Request) error {
	if r.URL.RequestURI() != "/token" || r.Method != http.MethodPost {
		return cloud.Refusal{Status: http.StatusNotFound, Code: "not_found", Message: "no such path", Form: true}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return oauthFormRefusal("invalid_request", "content type is %q", r.Header.Get("Content-Type"))
	}
	fields, err := formFields(r.Body)
	if err != nil {
		return err
	}
	if fields["grant_type"] != jwtGrant {
		return oauthFormRefusal("unsupported_grant_type", "Invalid grant_type: %s", fields["grant_type"])
	}
	if len(fields) != 2 {
		return oauthFormRefusal("invalid_request", "there is more than grant_type and assertion")
	}
	claims, err := f.identities.verify(fields["assertion"])
	if err != nil {
		return oauthRefusal("invalid_grant", "Invalid JWT Signature.")
	}
	x.Summarize("%s", claims.Issuer)
	scopes, err := f.checkAssertion(claims)
	if err != nil {
		return err
	}
	issued := f.issue(f.current().OAuth2, Token{Principal: Account(claims.Issuer), Service: "oauth2", Scopes: scopes})
	return answerJSON(x, issued.fields(f.now()))
}

// checkAssertion checks what a well-signed assertion says. One that lives for
// longer than an hour is refused, and so is one on behalf of somebody else:
// that takes a delegation that no service account here has.
func (f *Fake) checkAssertion(claims assertion) (scopes []string, err error) {
	now := f.now().Unix()
	switch {
	case claims.Audience != tokenEndpoint:
		return nil, oauthFormRefusal("invalid_grant", "Invalid JWT: the audience is %q.", claims.Audience)
	case claims.Subject != "" && claims.Subject != claims.Issuer:
		return nil, oauthFormRefusal("unauthorized_client", "Client is unauthorized to retrieve access tokens using this method.")
	case now >= claims.Expires || now < claims.IssuedAt-60 || claims.Expires-claims.IssuedAt > 3600:
		return nil, oauthRefusal("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.")
	}
	scopes = strings.Fields(claims.Scope)
	if len(scopes) == 0 || slices.ContainsFunc(scopes, func(scope string) bool { return !wellFormedScope(scope) }) {
		return nil, oauthFormRefusal("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
	}
	return scopes, nil
}
