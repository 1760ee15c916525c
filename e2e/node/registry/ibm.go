package registry

// IBM is the style of IBM Cloud's registry.
func IBM(string) Style { return Style{Service: "registry", Realm: "/oauth/token"} }
