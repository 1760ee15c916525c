package registry

import (
	"net/http"
	"strings"

	"regcred/e2e/cloud/oracle"
)

// Oracle is the style of Oracle's registry. One path is both the token endpoint
// and, for those who sign their requests, the API that makes a login.
func Oracle(host string) Style {
	return Style{
		Service: host,
		Realm:   oracle.TokenPath,
		API:     func(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("Authorization"), "Signature ") },
	}
}
