package ecr_test

// notECR are hosts of others, many of them made to be taken for ECR's.
var notECR = []string{
	"registry.k8s.io", "docker.io", "ghcr.io", "gcr.io", "us-docker.pkg.dev", "example.azurecr.io", "icr.io", "localhost:5000",

	"123456789012.dkr.ecr.us-west-2.amazonaws.com.evil.com",
	"210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn.evil.cn",
	"evil-123456789012.dkr.ecr.us-west-2.amazonaws.com",
	"evil.123456789012.dkr.ecr.us-west-2.amazonaws.com",
	"123456789012.dkr.ecr.us-west-2.amazonaws.org",
	"123456789012.dkr.ecr.us-west-2.evil.amazonaws.com",
	"123456789012.dkr.ecr.evil.amazonaws.com",
	"123456789012.dkr.ecr.us-west-2.amazonaws.comevil.com",

	// The suffix of one partition after the region of another.
	"123456789012.dkr.ecr.cn-north-1.amazonaws.com",
	"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn",
	"123456789012.dkr.ecr.us-iso-east-1.amazonaws.com",
	"123456789012.dkr.ecr.us-east-1.c2s.ic.gov",
	// The suffix of one shape after the label of the other.
	"123456789012.dkr.ecr.us-west-2.on.aws",
	"123456789012.dkr-ecr.us-west-2.amazonaws.com",
	// An account has twelve digits, and comes first.
	"12345678901.dkr.ecr.us-west-2.amazonaws.com",
	"1234567890123.dkr.ecr.us-west-2.amazonaws.com",
	"abcdefghijkl.dkr.ecr.us-west-2.amazonaws.com",
	"dkr.ecr.us-west-2.amazonaws.com",
	"123456789012.dkr.ecr.amazonaws.com",
	"123456789012.ecr.us-west-2.amazonaws.com",
	"123456789012.dkr.ecrfips.us-west-2.amazonaws.com",
	// ECR, but not a registry, or not at the port of one.
	"api.ecr.us-west-2.amazonaws.com", "ecr.us-west-2.api.aws", "gallery.ecr.aws",
	"api.ecr-public.us-east-1.amazonaws.com", "ecr-public.us-east-1.amazonaws.com",
	registry + ":80", registry + ":5000", "public.ecr.aws:8443",

	"public.ecr.aws.evil.com", "evil-public.ecr.aws", "evil.public.ecr.aws", "ecr-public.aws.com.evil.com",
}
