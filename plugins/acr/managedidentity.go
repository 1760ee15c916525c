package acr

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// metadataURL is where an Azure virtual machine gets tokens.
const metadataURL = "http://169.254.169.254/metadata/identity/oauth2/token"

// managedIdentity is the token of an identity that is assigned to the machine.
type managedIdentity struct {
	selector selector
	audience string
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

// who is the identity as messages have it.
func (s selector) who(audience string) who {
	return who{name: s.String(), audience: audience, selected: s.parameter != ""}
}

// query returns what to ask a machine for a token.
func (s selector) query(version, audience string) string {
	query := url.Values{"api-version": {version}, "resource": {audience}}
	if s.parameter != "" {
		query.Set(s.parameter, s.value)
	}
	return query.Encode()
}

// Key says which identity of the machine it is. Which machine need not be said:
// the cache is its own.
func (s *managedIdentity) Key() credential.Key {
	return credential.Key{"acr", "imds", s.selector.parameter, strings.ToLower(s.selector.value), s.audience}
}

// Fetch asks the metadata service.
func (s *managedIdentity) Fetch(ctx context.Context, _ credential.Getter) (credential.Credential, error) {
	return s.fetch(ctx, cloudhttp.AzureMetadata())
}

func (s *managedIdentity) fetch(ctx context.Context, client *http.Client) (credential.Credential, error) {
	r := call{
		stage:  stageMetadata,
		url:    metadataURL + "?" + s.selector.query("2018-02-01", s.audience),
		header: http.Header{"Metadata": {"true"}},
	}.do(ctx, client)
	return s.who().readEntraToken(r)
}

func (s *managedIdentity) who() who { return s.selector.who(s.audience) }
