package ecr

import (
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"regcred/shared/cloudhttp"
	"regcred/shared/settings"
)

// The addresses of the instance metadata service.
const (
	imdsAddress  = "169.254.169.254"
	imdsAddress6 = "fd00:ec2::254"
)

// endpoints are the services of AWS, and the way to them.
type endpoints struct {
	caFile string
	getenv func(string) string

	// clients returns the clients that trust a bundle of certificate
	// authorities besides the system's.
	clients func(caFile string) *cloudhttp.Clients
}

func newEndpoints(caFile string, getenv func(string) string) *endpoints {
	trusting := func(caFile string) *cloudhttp.Clients {
		return cloudhttp.New(cloudhttp.Options{CAFile: caFile, Getenv: getenv, Metadata: []string{"fd00:ec2::/32"}})
	}
	own := trusting(caFile)
	return &endpoints{caFile, getenv, func(other string) *cloudhttp.Clients {
		if other == caFile {
			return own
		}
		return trusting(other)
	}}
}

// router returns a client for everything that the SDK asks. A profile may name
// authorities to trust; the plugin's own setting wins.
func (e *endpoints) router(shared config.SharedConfig) cloudhttp.Router {
	bundle := e.caFile
	if bundle == "" {
		bundle = shared.CustomCABundle
	}
	// The headers mark requests to the instance metadata service, whose address
	// can be configured.
	return e.clients(bundle).Router("X-Aws-Ec2-Metadata-Token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds")
}

// flavour returns which kind of API endpoint goes with the registry's host: a
// FIPS or dual-stack host asks for an endpoint of the same kind, and otherwise
// the environment's choice stands. An endpoint that was configured is used as
// it is; the SDK refuses to combine the two.
func (r registry) flavour(endpoint *string, fips aws.FIPSEndpointState, dualStack aws.DualStackEndpointState) (aws.FIPSEndpointState, aws.DualStackEndpointState) {
	if endpoint != nil {
		return aws.FIPSEndpointStateUnset, aws.DualStackEndpointStateUnset
	}
	if r.fips {
		fips = aws.FIPSEndpointStateEnabled
	}
	if r.dualStack {
		dualStack = aws.DualStackEndpointStateEnabled
	}
	return fips, dualStack
}

// stsRegion returns the region that a request to a configured endpoint of STS
// is signed for. STS takes no other than its own, which need not be the
// registry's: the endpoint's name tells it, as in sts.us-east-1.amazonaws.com
// or vpce-0a1b.sts.us-east-1.vpce.amazonaws.com. Where it does not, the region
// that the operator configured beside the endpoint does.
func (e *endpoints) stsRegion(endpoint string, shared config.SharedConfig, registry registry) string {
	parsed, err := url.Parse(endpoint)
	if err == nil {
		for label := range strings.SplitSeq(parsed.Hostname(), ".") {
			if isRegion(label) {
				return label
			}
		}
		if parsed.Hostname() == "sts.amazonaws.com" {
			return "us-east-1" // the one that was there before there were others
		}
	}
	for _, region := range []string{e.getenv("AWS_REGION"), e.getenv("AWS_DEFAULT_REGION"), shared.Region} {
		if region != "" {
			return region
		}
	}
	return registry.region
}

// environment returns what decides, outside the settings, which endpoints are
// asked and, for the node, who it is: part of the key. What the files say that
// they name is not in the key.
func (e *endpoints) environment(i identity) []string {
	names := []string{
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
		"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
	}
	if i.pod == nil {
		names = append(names,
			"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "HOME",
			"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_LOGIN_CACHE_DIRECTORY",
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
			"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
			"AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "AWS_EC2_METADATA_DISABLED",
		)
	}
	return settings.Environment(func(name string) string {
		value := e.getenv(name)
		if name == "HOME" && value == "/root" {
			// The SDK finds root's home without HOME too, which the kubelet's
			// plugins seldom have and a person at a shell does.
			return ""
		}
		return value
	}, names...)
}
