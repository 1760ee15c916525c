package registry

// AWS is the style of ECR, and of its public registry.
func AWS(host string) Style {
	if host == "public.ecr.aws" {
		return Style{Service: host, Realm: "/token/", Scope: "aws"}
	}
	return Style{Service: "ecr.amazonaws.com"}
}
