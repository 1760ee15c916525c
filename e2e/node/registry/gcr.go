package registry

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/gcp"
)

// AllUsers is everybody, as Google's policies write it.
const AllUsers = "allUsers"

// GCR is the login of Artifact Registry at one host: its token endpoint takes
// an access token of Google's as the password of _token, and lets who shows
// none read what is for all users. Clock is the registry's time.
func GCR(host string, fake *gcp.Fake, policies *Policies, clock func() time.Time) Login {
	login := &Bearer{
		Realm:   "/v2/token",
		Service: host,
		Identify: func(user, password string, shown bool) (string, error) {
			if !shown {
				return AllUsers, nil
			}
			token, issued := fake.Token(password)
			switch {
			case user != "_token" || !issued || token.Universe != "googleapis.com" || !clock().Before(token.Expires):
				return "", cloud.Refusal{Status: http.StatusUnauthorized, Code: "UNAUTHORIZED", Message: "authentication failed"}
			case !slices.ContainsFunc(token.Scopes, readsImages):
				return "", denied(http.StatusForbidden, "Request had insufficient authentication scopes.")
			default:
				return string(token.Principal), nil
			}
		},
		Admit: func(who, repository string) error {
			if policies.allows(repository, AllUsers) || policies.allows(repository, who) {
				return nil
			}
			return denied(http.StatusForbidden,
				"Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource %q (or it may not exist)", repository)
		},
	}
	return login.Login
}

// readsImages reports whether a scope is enough to pull: images were once kept
// in storage.
func readsImages(scope string) bool {
	return scope == gcp.CloudPlatform || strings.HasPrefix(scope, "https://www.googleapis.com/auth/devstorage.")
}
