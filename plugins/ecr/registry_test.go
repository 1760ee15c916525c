package ecr

import (
	"strings"
	"testing"

	"regcred/shared/image"
)

// The grammar of ECR's hosts, by example.
var hosts = []struct {
	host                       string
	account, region, partition string
	fips, dualStack            bool
}{
	{"123456789012.dkr.ecr.us-east-1.amazonaws.com", "123456789012", "us-east-1", "aws", false, false},
	{"012345678910.dkr.ecr.eu-west-1.amazonaws.com", "012345678910", "eu-west-1", "aws", false, false},
	{"000000000000.dkr.ecr.il-central-1.amazonaws.com", "000000000000", "il-central-1", "aws", false, false},
	{"123456789012.dkr.ecr.mx-central-1.amazonaws.com", "123456789012", "mx-central-1", "aws", false, false},
	{"123456789012.dkr.ecr.ap-southeast-7.amazonaws.com", "123456789012", "ap-southeast-7", "aws", false, false},
	{"123456789012.dkr.ecr.xx-newregion-12.amazonaws.com", "123456789012", "xx-newregion-12", "aws", false, false},
	{"123456789012.dkr.ecr-fips.us-east-2.amazonaws.com", "123456789012", "us-east-2", "aws", true, false},
	{"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "123456789012", "us-gov-west-1", "aws-us-gov", false, false},
	{"123456789012.dkr.ecr-fips.us-gov-east-1.amazonaws.com", "123456789012", "us-gov-east-1", "aws-us-gov", true, false},
	{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "123456789012", "cn-north-1", "aws-cn", false, false},
	{"123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn", "123456789012", "cn-northwest-1", "aws-cn", false, false},
	{"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "123456789012", "eusc-de-east-1", "aws-eusc", false, false},
	{"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "123456789012", "us-iso-east-1", "aws-iso", false, false},
	{"123456789012.dkr.ecr-fips.us-iso-east-1.c2s.ic.gov", "123456789012", "us-iso-east-1", "aws-iso", true, false},
	{"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "123456789012", "us-isob-east-1", "aws-iso-b", false, false},
	{"123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "123456789012", "eu-isoe-west-1", "aws-iso-e", false, false},
	{"123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "123456789012", "us-isof-south-1", "aws-iso-f", false, false},
	{"123456789012.dkr-ecr.us-west-2.on.aws", "123456789012", "us-west-2", "aws", false, true},
	{"123456789012.dkr-ecr-fips.us-west-2.on.aws", "123456789012", "us-west-2", "aws", true, true},
	{"123456789012.dkr-ecr.us-gov-east-1.on.aws", "123456789012", "us-gov-east-1", "aws-us-gov", false, true},
	{"123456789012.dkr-ecr-fips.us-gov-west-1.on.aws", "123456789012", "us-gov-west-1", "aws-us-gov", true, true},
	{"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "123456789012", "cn-north-1", "aws-cn", false, true},
	// Not documented for registries; see partitions.
	{"123456789012.dkr-ecr.us-iso-west-1.on.aws.ic.gov", "123456789012", "us-iso-west-1", "aws-iso", false, true},
	{"123456789012.dkr-ecr.us-isob-east-1.on.aws.scloud", "123456789012", "us-isob-east-1", "aws-iso-b", false, true},
	{"123456789012.dkr-ecr.eu-isoe-west-1.on.cloud-aws.adc-e.uk", "123456789012", "eu-isoe-west-1", "aws-iso-e", false, true},
	{"123456789012.dkr-ecr.us-isof-south-1.on.aws.hci.ic.gov", "123456789012", "us-isof-south-1", "aws-iso-f", false, true},
	{"123456789012.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu", "123456789012", "eusc-de-east-1", "aws-eusc", false, true},
	{"123456789012.dkr-ecr.eusc-de-east-1.amazonwebservices.eu", "123456789012", "eusc-de-east-1", "aws-eusc", false, true},
	// The port is compared literally by the kubelet and kept in the answer.
	{"123456789012.dkr.ecr.us-east-1.amazonaws.com:443", "123456789012", "us-east-1", "aws", false, false},
	{"123456789012.DKR.ecr.US-East-1.amazonaws.com", "123456789012", "us-east-1", "aws", false, false},
}

var publicHosts = []string{"public.ecr.aws", "ecr-public.aws.com", "public.ecr.aws:443", "Public.ECR.aws"}

var foreignHosts = []string{
	// Look-alikes.
	"123456789012.dkr.ecr.us-west-2.amazonaws.com.evil.com",
	"210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn.evil.cn",
	"evil-123456789012.dkr.ecr.us-west-2.amazonaws.com",
	"evil.123456789012.dkr.ecr.us-west-2.amazonaws.com",
	"123456789012.dkr.ecr.us-west-2.amazonaws.org",
	"123456789012.dkr.ecr.us-west-2.evil.amazonaws.com",
	"123456789012.dkr.ecr.us-west-2.evilamazonaws.com",
	"123456789012.dkr.ecr.us-west-2-amazonaws.com",
	"123456789012.dkr.ecrfips.us-west-2.amazonaws.com",
	"123456789012.dkr.ecr.us-west-2.amazonaws.com:5000",
	"public.ecr.aws.evil.com", "evil-public.ecr.aws", "x.public.ecr.aws", "public.ecr.aws:8443", "gallery.ecr.aws",
	// No region.
	"123456789012.dkr.ecr.evil.amazonaws.com",
	"123456789012.dkr.ecr.amazonaws.com",
	"123456789012.dkr.ecr.us-1.amazonaws.com",
	"123456789012.dkr.ecr.us-east-1a.amazonaws.com",
	"123456789012.dkr.ecr.us--1.amazonaws.com",
	// A region with the suffix of another partition, or of another shape.
	"123456789012.dkr.ecr.cn-north-1.amazonaws.com",
	"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn",
	"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com.cn",
	"123456789012.dkr.ecr.us-iso-east-1.amazonaws.com",
	"123456789012.dkr.ecr.us-east-1.c2s.ic.gov",
	"123456789012.dkr.ecr.us-west-2.on.aws",
	"123456789012.dkr-ecr.us-west-2.amazonaws.com",
	"123456789012.dkr-ecr.us-west-2.on.aws.ic.gov",
	// No account.
	"12345678901.dkr.ecr.us-west-2.amazonaws.com",
	"1234567890123.dkr.ecr.us-west-2.amazonaws.com",
	"abcdefghijkl.dkr.ecr.us-west-2.amazonaws.com",
	"dkr-ecr.us-west-2.on.aws",
	// AWS's, but no registries.
	"123456789012.ecr.us-west-2.amazonaws.com",
	"123456789012.dkr.starport.us-west-2.amazonaws.com",
	"api.ecr.us-west-2.amazonaws.com", "ecr.us-west-2.api.aws",
	"ecr-public.us-east-1.amazonaws.com", "api.ecr-public.us-east-1.amazonaws.com", "ecr-public.us-east-1.api.aws",
	// Others'.
	"docker.io", "registry.k8s.io", "gcr.io", "myregistry.azurecr.io", "localhost:5000", "169.254.169.254", "[::1]",
}

func mustParseRegistry(t testing.TB, host string) image.Registry {
	t.Helper()
	r, err := image.ParseRegistry(host)
	if err != nil {
		t.Fatalf("%s: %v", host, err)
	}
	return r
}

func TestPrivateHosts(t *testing.T) {
	for _, tc := range hosts {
		got, ok := parseRegistry(mustParseRegistry(t, tc.host))
		want := registry{account: tc.account, region: tc.region, partition: tc.partition, fips: tc.fips, dualStack: tc.dualStack}
		if !ok || got != want {
			t.Errorf("%s: got %+v, %t", tc.host, got, ok)
		}
	}
}

func TestPublicHosts(t *testing.T) {
	for _, host := range publicHosts {
		if got, ok := parseRegistry(mustParseRegistry(t, host)); !ok || !got.public || got.region != "us-east-1" {
			t.Errorf("%s: got %+v, %t", host, got, ok)
		}
	}
}

func TestForeignHosts(t *testing.T) {
	for _, host := range foreignHosts {
		if got, ok := parseRegistry(mustParseRegistry(t, host)); ok {
			t.Errorf("%s: got %+v", host, got)
		}
	}
	// These are not even the names of registries.
	for _, ref := range []string{"public.ecr.aws./x", "user@123456789012.dkr.ecr.us-west-2.amazonaws.com/x", "https://public.ecr.aws/x"} {
		if got, err := image.Parse(ref); err == nil {
			t.Errorf("%s: got %+v", ref, got)
		}
	}
}

// FuzzParseRegistry holds the grammar from the other side: a host that is
// accepted can be put together again from its parts.
func FuzzParseRegistry(f *testing.F) {
	for _, tc := range hosts {
		f.Add(tc.host)
	}
	for _, host := range append(publicHosts, foreignHosts...) {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		r, err := image.ParseRegistry(host)
		if err != nil {
			return
		}
		got, ok := parseRegistry(r)
		if !ok {
			return
		}
		if !r.DefaultPort() {
			t.Errorf("%s: port %s", host, r.Port())
		}
		if got.public {
			if r.Host() != "public.ecr.aws" && r.Host() != "ecr-public.aws.com" {
				t.Errorf("%s is not the public registry", host)
			}
			return
		}
		shape := ".dkr.ecr"
		if got.dualStack {
			shape = ".dkr-ecr"
		}
		if got.fips {
			shape += "-fips"
		}
		for _, p := range partitions {
			if p.name != got.partition {
				continue
			}
			for _, suffix := range append(p.dualStack, p.classic) {
				if strings.ToLower(r.Host()) == got.account+shape+"."+got.region+"."+suffix && strings.HasPrefix(got.region, p.prefix) {
					return
				}
			}
		}
		t.Errorf("%s is none of ECR's hosts, but was read as %+v", host, got)
	})
}
