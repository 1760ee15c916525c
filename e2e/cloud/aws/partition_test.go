package aws

import (
	"slices"
	"testing"
)

func TestEndpointNames(t *testing.T) {
	tests := []struct {
		region string
		names  []string
	}{
		{"us-east-1", []string{
			"api.ecr.us-east-1.amazonaws.com", "ecr.us-east-1.api.aws",
			"sts.us-east-1.amazonaws.com", "sts.us-east-1.api.aws",
			"api.ecr-fips.us-east-1.amazonaws.com", "ecr-fips.us-east-1.api.aws",
			"sts-fips.us-east-1.amazonaws.com", "sts-fips.us-east-1.api.aws",
			"api.ecr-public.us-east-1.amazonaws.com", "ecr-public.us-east-1.api.aws",
		}},
		{"eu-west-1", []string{
			"api.ecr.eu-west-1.amazonaws.com", "ecr.eu-west-1.api.aws",
			"sts.eu-west-1.amazonaws.com", "sts.eu-west-1.api.aws",
		}},
		{"us-gov-west-1", []string{
			"api.ecr.us-gov-west-1.amazonaws.com", "ecr.us-gov-west-1.api.aws",
			"sts.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.api.aws",
			"api.ecr-fips.us-gov-west-1.amazonaws.com", "ecr-fips.us-gov-west-1.api.aws",
		}},
		{"cn-north-1", []string{
			"api.ecr.cn-north-1.amazonaws.com.cn", "ecr.cn-north-1.api.amazonwebservices.com.cn",
			"sts.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.api.amazonwebservices.com.cn",
		}},
		{"eusc-de-east-1", []string{
			"api.ecr.eusc-de-east-1.amazonaws.eu", "ecr.eusc-de-east-1.api.amazonwebservices.eu",
			"sts.eusc-de-east-1.amazonaws.eu", "sts.eusc-de-east-1.api.amazonwebservices.eu",
		}},
		{"eu-isoe-west-1", []string{
			"api.ecr.eu-isoe-west-1.cloud.adc-e.uk", "ecr.eu-isoe-west-1.api.cloud-aws.adc-e.uk",
			"sts.eu-isoe-west-1.cloud.adc-e.uk", "sts.eu-isoe-west-1.api.cloud-aws.adc-e.uk",
		}},
	}
	for _, test := range tests {
		t.Run(test.region, func(t *testing.T) {
			endpoints, err := endpointsIn(test.region)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, endpoint := range endpoints {
				names = append(names, endpoint.host)
			}
			if !slices.Equal(names, test.names) {
				t.Errorf("names %q\nwant  %q", names, test.names)
			}
		})
	}
}

func TestRegionsOfNoPartition(t *testing.T) {
	for _, region := range []string{"", "evil", "us-east", "us-gov-west", "xx-north-1", "us-east-1.evil.com"} {
		if home, err := partitionOf(region); err == nil {
			t.Errorf("%q is a region of %s", region, home.name)
		}
	}
}
