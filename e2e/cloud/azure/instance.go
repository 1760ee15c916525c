package azure

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

const (
	machinePath = "/metadata/identity/oauth2/token"

	invalidRequest = "invalid_request"
)

// machineQuery is what a program on a machine asks for.
type machineQuery struct {
	resource string
	name     string // of the selector; empty: none
	value    string // of the selector
}

// selectors are the ways to name one of several identities.
var selectors = []string{"client_id", "object_id", "msi_res_id"}

// parseMachineQuery checks all of a request but who may make it. A request
// without the header may be a browser's, and one with X-Forwarded-For came
// through a proxy.
func (f *Fake) parseMachineQuery(r *cloud.Request, version string) (machineQuery, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case err != nil:
		return machineQuery{}, fake.RefuseForm(http.StatusBadRequest, "bad_request_102", "%v", err)
	case r.Method != http.MethodGet:
		return machineQuery{}, fake.RefuseForm(http.StatusMethodNotAllowed, invalidRequest, "only GET is allowed")
	case !slices.Equal(r.Header.Values("Metadata"), []string{"true"}):
		return machineQuery{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "Required metadata header not specified")
	case r.Header.Get("X-Forwarded-For") != "":
		return machineQuery{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "requests with X-Forwarded-For are refused")
	case len(r.Body) != 0:
		return machineQuery{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "a body has no place here")
	case r.URL.Path != machinePath:
		return machineQuery{}, fake.RefuseForm(http.StatusNotFound, "not_found", "no such path")
	}
	asked := machineQuery{resource: query.Get("resource")}
	for name, values := range query {
		switch {
		case len(values) != 1:
			return machineQuery{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "%s is there %d times", name, len(values))
		case values[0] == "":
			return machineQuery{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "%s is empty", name)
		case slices.Contains(selectors, name) && asked.name != "":
			return machineQuery{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "%s and %s name an identity each", asked.name, name)
		case slices.Contains(selectors, name):
			asked.name, asked.value = name, values[0]
		case name != "api-version" && name != "resource":
			return machineQuery{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "unknown parameter %s", name)
		}
	}
	switch {
	case query.Get("api-version") != version:
		return machineQuery{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "api-version is %q, not %q", query.Get("api-version"), version)
	case asked.resource == "" || strings.HasSuffix(asked.resource, "/.default"):
		return machineQuery{}, fake.RefuseForm(http.StatusBadRequest, invalidRequest, "the resource %q is none", asked.resource)
	case !f.knownAudience(asked.resource):
		return machineQuery{}, fake.Refuse(http.StatusBadRequest, "invalid_resource",
			"AADSTS500011: The resource principal named %s was not found in the tenant.", asked.resource)
	}
	return asked, nil
}

// find is the identity that is asked for. Without a selector it is the
// system's, or else the one that was assigned.
func (s InstanceSettings) find(asked machineQuery) (identity ManagedIdentity, assigned bool, err error) {
	if asked.name == "" {
		switch {
		case s.System != nil:
			return *s.System, false, nil
		case len(s.User) == 1:
			return s.User[0], true, nil
		case len(s.User) > 1:
			return ManagedIdentity{}, false, fake.Refuse(http.StatusBadRequest, invalidRequest,
				"Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request")
		}
		return ManagedIdentity{}, false, identityNotFound()
	}
	matches := func(identity ManagedIdentity) bool {
		// Resource ids and GUIDs are the same in any case.
		return strings.EqualFold(asked.value, map[string]string{
			"client_id": identity.ClientID, "object_id": identity.ObjectID, "msi_res_id": identity.ResourceID,
		}[asked.name])
	}
	if s.System != nil && matches(*s.System) {
		return *s.System, false, nil
	}
	if i := slices.IndexFunc(s.User, matches); i >= 0 {
		return s.User[i], true, nil
	}
	return ManagedIdentity{}, false, identityNotFound()
}

func identityNotFound() error {
	return fake.Refuse(http.StatusBadRequest, invalidRequest, "Identity not found")
}

// instanceKey is what a token of a machine is of.
type instanceKey struct {
	service, tenant, clientID, resource string
	settings                            fake.TokenSettings
}

// instanceToken is the token that everybody on the machine gets, until shortly
// before its end.
func (f *Fake) instanceToken(service string, settings InstanceSettings, identity ManagedIdentity, assigned bool, resource string) fake.Grant {
	if settings.Token.Life == 0 {
		settings.Token.Life = 24 * time.Hour
	}
	if settings.RenewBefore == 0 {
		settings.RenewBefore = 5 * time.Minute
	}
	if settings.Tenant == "" {
		settings.Tenant = HomeTenant
	}
	key := instanceKey{service, settings.Tenant, identity.ClientID, resource, settings.Token}
	return f.instances.Get(key, f.Now(), func() (fake.Grant, time.Time) {
		issued := f.issue(settings.Token, Token{
			Principal: Principal{settings.Tenant, identity.ClientID},
			Service:   service,
			Audience:  resource,
			Subject:   identity.ObjectID,
			assigned:  assigned,
		})
		return issued, issued.Expires.Add(-settings.RenewBefore)
	})
}
