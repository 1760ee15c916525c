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

// managedIdentity is the token of an identity that is assigned to the machine.
type managedIdentity struct {
	selector selector
	audience string

	// issuers are those of whom the token has to be. Empty means that it may be
	// of any.
	issuers []string

	endpoints *endpoints
}

// selector is the parameter that names a user-assigned identity. The zero value
// is the system-assigned one.
type selector struct{ parameter, value string }

// String names the identity in messages.
func (s selector) String() string {
	switch s.parameter {
	case "":
		return "the machine's managed identity"
	case "object_id":
		return "managed identity of object id " + s.value
	default:
		return "managed identity " + s.value
	}
}

// query returns what to ask a machine for a token.
func (s selector) query(version, audience string) string {
	query := url.Values{"api-version": {version}, "resource": {audience}}
	if s.parameter != "" {
		query.Set(s.parameter, s.value)
	}
	return query.Encode()
}

func (s *managedIdentity) identity() string { return s.selector.String() }

// String says who is asked for what, and as whom.
func (s *managedIdentity) String() string {
	return "Azure's metadata service for " + s.audience + " as " + s.identity()
}

// Key says which identity of the machine it is. Which machine need not be said:
// the cache is its own.
func (s *managedIdentity) Key() credential.Key {
	return slices.Concat(credential.Key{"acr", "imds", s.selector.parameter, strings.ToLower(s.selector.value), s.audience}, s.issuers)
}

// Fetch asks the metadata service.
func (s *managedIdentity) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	r := cloudhttp.Call{
		Stage:  stageMetadata,
		URL:    metadataURL + "?" + s.selector.query("2018-02-01", s.audience),
		Header: http.Header{"Metadata": {"true"}},
	}.Do(ctx, s.endpoints.clients.Metadata())
	token, err := s.service().entraToken(r)
	if err == nil && len(s.issuers) > 0 && !claimsOf(token).isOf(s.issuers) {
		return credential.Token{}, s.errIssuer(token)
	}
	return token, err
}

// elsewhere says that the identity has one tenant.
func (s *managedIdentity) elsewhere(loginServer) string { return managedElsewhere }

const managedElsewhere = "a managed identity has no rights in other tenants: pull as an application of the registry's tenant that it vouches for (--credential=" + federatedManaged + ")"

// publicIssuers are how the issuers of the public cloud's tokens begin.
var publicIssuers = []string{"https://sts.windows.net/", "https://login.microsoftonline.com/"}

// isOf reports whether the token is of an issuer whose name begins as one of
// these.
func (c claims) isOf(issuers []string) bool {
	return slices.ContainsFunc(issuers, func(issuer string) bool { return strings.HasPrefix(c.Issuer, issuer) })
}
