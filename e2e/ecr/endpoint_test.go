package ecr_test

import (
	"slices"
	"testing"

	"regcred/e2e/cloud/aws"
)

// The host of the image decides which endpoint of which API is asked.
func TestTheHostDecidesTheEndpoint(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ partition, region, host, api string }{
		{"aws", "us-east-2", "123456789012.dkr.ecr.us-east-2.amazonaws.com", "api.ecr.us-east-2.amazonaws.com"},
		{"aws", "us-east-2", "123456789012.dkr.ecr-fips.us-east-2.amazonaws.com", "api.ecr-fips.us-east-2.amazonaws.com"},
		{"aws", "us-east-2", "123456789012.dkr-ecr.us-east-2.on.aws", "ecr.us-east-2.api.aws"},
		{"aws", "us-east-2", "123456789012.dkr-ecr-fips.us-east-2.on.aws", "ecr-fips.us-east-2.api.aws"},
		{"aws", "eu-central-1", "123456789012.dkr.ecr.eu-central-1.amazonaws.com", "api.ecr.eu-central-1.amazonaws.com"},
		// A region that no release of the SDK lists.
		{"aws", "ap-atlantis-9", "123456789012.dkr.ecr.ap-atlantis-9.amazonaws.com", "api.ecr.ap-atlantis-9.amazonaws.com"},
		{"aws", "ap-atlantis-9", "123456789012.dkr-ecr.ap-atlantis-9.on.aws", "ecr.ap-atlantis-9.api.aws"},

		{"aws-us-gov", "us-gov-west-1", "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "api.ecr.us-gov-west-1.amazonaws.com"},
		{"aws-us-gov", "us-gov-west-1", "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "api.ecr-fips.us-gov-west-1.amazonaws.com"},
		{"aws-us-gov", "us-gov-west-1", "123456789012.dkr-ecr.us-gov-west-1.on.aws", "ecr.us-gov-west-1.api.aws"},
		{"aws-us-gov", "us-gov-west-1", "123456789012.dkr-ecr-fips.us-gov-west-1.on.aws", "ecr-fips.us-gov-west-1.api.aws"},

		{"aws-cn", "cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn"},
		{"aws-cn", "cn-northwest-1", "123456789012.dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn", "ecr.cn-northwest-1.api.amazonwebservices.com.cn"},

		{"aws-eusc", "eusc-de-east-1", "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "api.ecr.eusc-de-east-1.amazonaws.eu"},
		{"aws-eusc", "eusc-de-east-1", "123456789012.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu", "ecr.eusc-de-east-1.api.amazonwebservices.eu"},
		{"aws-eusc", "eusc-de-east-1", "123456789012.dkr-ecr.eusc-de-east-1.amazonwebservices.eu", "ecr.eusc-de-east-1.api.amazonwebservices.eu"},

		{"aws-iso", "us-iso-east-1", "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "api.ecr.us-iso-east-1.c2s.ic.gov"},
		{"aws-iso", "us-iso-east-1", "123456789012.dkr.ecr-fips.us-iso-east-1.c2s.ic.gov", "api.ecr-fips.us-iso-east-1.c2s.ic.gov"},
		{"aws-iso", "us-iso-east-1", "123456789012.dkr-ecr.us-iso-east-1.on.aws.ic.gov", "ecr.us-iso-east-1.api.aws.ic.gov"},
		{"aws-iso-b", "us-isob-east-1", "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "api.ecr.us-isob-east-1.sc2s.sgov.gov"},
		{"aws-iso-b", "us-isob-east-1", "123456789012.dkr-ecr-fips.us-isob-east-1.on.aws.scloud", "ecr-fips.us-isob-east-1.api.aws.scloud"},
		{"aws-iso-e", "eu-isoe-west-1", "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "api.ecr.eu-isoe-west-1.cloud.adc-e.uk"},
		{"aws-iso-e", "eu-isoe-west-1", "123456789012.dkr-ecr.eu-isoe-west-1.on.cloud-aws.adc-e.uk", "ecr.eu-isoe-west-1.api.cloud-aws.adc-e.uk"},
		{"aws-iso-f", "us-isof-south-1", "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "api.ecr.us-isof-south-1.csp.hci.ic.gov"},
		{"aws-iso-f", "us-isof-south-1", "123456789012.dkr-ecr.us-isof-south-1.on.aws.hci.ic.gov", "ecr.us-isof-south-1.api.aws.hci.ic.gov"},
	} {
		t.Run(test.host, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t, test.region)
			role := "arn:" + test.partition + ":iam::123456789012:role/instance"
			n.attach(role, aws.ECRToken)
			token := n.ask(question{Image: test.host + "/app"}).wantCredential(test.host, role)
			n.WantCalls(askIMDS, askECR(test.api))
			if token.Region != test.region {
				t.Errorf("a token of %s", token.Region)
			}
		})
	}
}

// What the environment asks for is used for hosts that ask for nothing, and is
// never mixed with an endpoint that was configured: the SDK refuses that.
func TestTheEnvironmentDecidesTheEndpoint(t *testing.T) {
	t.Parallel()
	const (
		fips = "AWS_USE_FIPS_ENDPOINT=true"
		dual = "AWS_USE_DUALSTACK_ENDPOINT=true"
		west = "AWS_ENDPOINT_URL_ECR=https://" + ecrAPI

		fipsHost = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"
		dualHost = "123456789012.dkr-ecr.us-east-1.on.aws"
		bothHost = "123456789012.dkr-ecr-fips.us-east-1.on.aws"
	)
	for _, test := range []struct {
		name, host string
		env        []string
		api        string
	}{
		{"FIPS", registry, []string{fips}, "api.ecr-fips.us-east-1.amazonaws.com"},
		{"dual-stack", registry, []string{dual}, "ecr.us-east-1.api.aws"},
		{"both", registry, []string{fips, dual}, "ecr-fips.us-east-1.api.aws"},
		{"dual-stack and a FIPS host", fipsHost, []string{dual}, "ecr-fips.us-east-1.api.aws"},
		{"FIPS and a dual-stack host", dualHost, []string{fips}, "ecr-fips.us-east-1.api.aws"},
		{"off and a FIPS and dual-stack host", bothHost, []string{"AWS_USE_FIPS_ENDPOINT=false", "AWS_USE_DUALSTACK_ENDPOINT=false"}, "ecr-fips.us-east-1.api.aws"},
		{"an endpoint", registry, []string{west}, ecrAPI},
		{"an endpoint and a FIPS host", fipsHost, []string{west}, ecrAPI},
		{"an endpoint and a dual-stack host", dualHost, []string{west}, ecrAPI},
		{"an endpoint and both", bothHost, []string{west, fips, dual}, ecrAPI},
		{"an endpoint for every service", fipsHost, []string{"AWS_ENDPOINT_URL=https://" + ecrAPI}, ecrAPI},
		{"an endpoint to be ignored", fipsHost, []string{west, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"}, "api.ecr-fips.us-east-1.amazonaws.com"},
		{"another region", registry, []string{"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1"}, ecrAPI},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.ask(question{Image: test.host + "/app", Env: test.env}).wantCredential(test.host, nodeRole)
			n.WantCalls(askIMDS, askECR(test.api))
		})
	}
}

// Tokens of one endpoint are not documented to be good for another's hosts.
func TestEndpointsShareNoToken(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	passwords := map[string]bool{}
	hosts := []string{
		registry,
		"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
		"123456789012.dkr-ecr.us-east-1.on.aws",
		"123456789012.dkr-ecr-fips.us-east-1.on.aws",
	}
	for _, host := range hosts {
		passwords[n.ask(question{Image: host + "/app"}).wantCredential(host, nodeRole).password] = true
	}
	if len(passwords) != len(hosts) {
		t.Errorf("%d passwords for %d hosts", len(passwords), len(hosts))
	}
}

// There are endpoints that follow the rules and do not exist. The plugin asks
// for that one name, not for another instead, and fails at once.
func TestAnEndpointThatDoesNotExistIsNotReplaced(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ region, host, api string }{
		{"eu-west-1", "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com", "api.ecr-fips.eu-west-1.amazonaws.com"},
		{"cn-north-1", "123456789012.dkr-ecr-fips.cn-north-1.on.amazonwebservices.com.cn", "ecr-fips.cn-north-1.api.amazonwebservices.com.cn"},
		// A region of which not even the beginning is known.
		{"us-east-1", "123456789012.dkr.ecr.moon-base-1.amazonaws.com", "api.ecr.moon-base-1.amazonaws.com"},
	} {
		t.Run(test.host, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t, test.region)
			n.ask(question{Image: test.host + "/app"}).WantFailure(1, "ecr GetAuthorizationToken at "+test.api, "no such host", "DNS")
			if asked := n.lookedUp(); !slices.Equal(asked, []string{test.api}) {
				t.Errorf("looked up %v, want %s", asked, test.api)
			}
			if n.Cloud.Calls.Count("ecr", "") != 0 {
				t.Error("another endpoint was asked")
			}
		})
	}
}

// lookedUp is the names that do not exist and were looked up.
func (n *node) lookedUp() []string {
	var names []string
	for _, call := range n.Cloud.Calls.Of("dns", "") {
		names = append(names, call.Host)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
