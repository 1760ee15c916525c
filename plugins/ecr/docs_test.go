package ecr

import (
	_ "embed"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
)

//go:embed pods.yaml
var podsConfig string

func TestTheSampleConfigurationCoversTheGrammar(t *testing.T) {
	sample := plugintest.ParseSample(t, Plugin(), nodeConfig)
	undocumented := []string{".on.aws.ic.gov", ".on.aws.scloud", ".on.cloud-aws.adc-e.uk", ".on.aws.hci.ic.gov", ".amazonwebservices.eu"}
	for _, tc := range hosts {
		want := strings.ToLower(tc.host) == tc.host && !strings.Contains(tc.host, ":") &&
			!slices.ContainsFunc(undocumented, func(suffix string) bool { return strings.HasSuffix(tc.host, suffix) })
		if got := sample.Matches(t, tc.host); got != want {
			t.Errorf("%s: matched %t, want %t", tc.host, got, want)
		}
	}
	for host, want := range map[string]bool{
		"public.ecr.aws":     true,
		"ecr-public.aws.com": true,
		"123456789012.dkr.ecr.us-west-2.amazonaws.com.evil.com": false,
		"docker.io": false,
		"gcr.io":    false,
	} {
		if got := sample.Matches(t, host); got != want {
			t.Errorf("%s: matched %t, want %t", host, got, want)
		}
	}
}

func TestTheSampleForPodsPassesTheAnnotation(t *testing.T) {
	got := plugintest.ParseSample(t, Plugin(), podsConfig).TokenAttributes.OptionalServiceAccountAnnotationKeys
	if !slices.Equal(got, []string{roleAnnotation}) {
		t.Errorf("annotations %q", got)
	}
}

func TestTheDocumentationShowsTheSamples(t *testing.T) {
	plugintest.ReadPage(t, "ecr.md").WantShown(t, Plugin(), nodeConfig, podsConfig)
}

func TestTheDocumentedConfigurationFile(t *testing.T) {
	got := plugintest.ReadPage(t, "ecr.md").LoadConfig(t, Plugin()).(*Settings)
	if got.Accounts["210987654321"].ExternalID != "our-cluster" || len(got.Aliases) != 1 {
		t.Errorf("got %+v", got)
	}
}
