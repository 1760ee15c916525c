package aws

import (
	"fmt"
	"regexp"
	"strings"
)

// partition is a separate AWS: credentials of one are unknown in all others.
type partition struct {
	name      string
	regions   *regexp.Regexp
	suffix    string // of classic names, which resolve to IPv4
	apiSuffix string // of dual-stack names, of an API and not of a registry
}

// partitions is the table of the AWS SDKs.
var partitions = []partition{
	{"aws", regexp.MustCompile(`^(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+$`), "amazonaws.com", "api.aws"},
	{"aws-us-gov", regexp.MustCompile(`^us-gov-\w+-\d+$`), "amazonaws.com", "api.aws"},
	{"aws-cn", regexp.MustCompile(`^cn-\w+-\d+$`), "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
	{"aws-eusc", regexp.MustCompile(`^eusc-(de)-\w+-\d+$`), "amazonaws.eu", "api.amazonwebservices.eu"},
	{"aws-iso", regexp.MustCompile(`^us-iso-\w+-\d+$`), "c2s.ic.gov", "api.aws.ic.gov"},
	{"aws-iso-b", regexp.MustCompile(`^us-isob-\w+-\d+$`), "sc2s.sgov.gov", "api.aws.scloud"},
	{"aws-iso-e", regexp.MustCompile(`^eu-isoe-\w+-\d+$`), "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
	{"aws-iso-f", regexp.MustCompile(`^us-isof-\w+-\d+$`), "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
}

func partitionOf(region string) (partition, error) {
	for _, candidate := range partitions {
		if candidate.regions.MatchString(region) {
			return candidate, nil
		}
	}
	return partition{}, fmt.Errorf("aws: no partition has a region %q", region)
}

// The services that are signed for, by the names that signatures hold.
const (
	serviceSTS       = "sts"
	serviceECR       = "ecr"
	serviceECRPublic = "ecr-public"
)

// endpoint is one production name of one service.
type endpoint struct {
	host      string
	service   string
	region    string
	partition partition
	dualStack bool
}

// endpointsIn lists the names that exist in a region. FIPS names exist only
// in regions of the United States. STS has no FIPS names of its own in
// GovCloud, where the plain name is validated too.
func endpointsIn(region string) ([]endpoint, error) {
	home, err := partitionOf(region)
	if err != nil {
		return nil, err
	}
	var endpoints []endpoint
	add := func(service, label, apiLabel string) {
		endpoints = append(endpoints,
			endpoint{label + "." + region + "." + home.suffix, service, region, home, false},
			endpoint{apiLabel + "." + region + "." + home.apiSuffix, service, region, home, true})
	}
	add(serviceECR, "api.ecr", "ecr")
	add(serviceSTS, "sts", "sts")
	if strings.HasPrefix(region, "us-") {
		add(serviceECR, "api.ecr-fips", "ecr-fips")
		if home.name != "aws-us-gov" {
			add(serviceSTS, "sts-fips", "sts-fips")
		}
	}
	if region == "us-east-1" {
		add(serviceECRPublic, "api.ecr-public", "ecr-public")
	}
	return endpoints, nil
}
