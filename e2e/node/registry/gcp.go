package registry

// GCP is the style of Artifact Registry.
func GCP(host string) Style { return Style{Service: host, Realm: "/v2/token"} }
