package registry

import "net/http"

// Azure is the style of Azure's registries. Beside their token endpoint is the
// exchange that makes a login of an Entra token.
func Azure(host string) Style {
	return Style{
		Service: host,
		Realm:   "/oauth2/token",
		API:     func(r *http.Request) bool { return r.URL.Path == "/oauth2/exchange" },
	}
}
