package ocir

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
	for _, tc := range hosts {
		if got := sample.Matches(t, tc.host); got != (strings.ToLower(tc.host) == tc.host) {
			t.Errorf("%s: matched %t", tc.host, got)
		}
	}
	for host, want := range map[string]bool{
		dedicatedHost:           true,
		"iad.ocir.io.evil.com":  false,
		"foo.iad.ocir.io":       false,
		"ocir.io":               false,
		"iad.ocir.io:5000":      false,
		"objectstorage.oci.com": false,
		"artifacts.us-ashburn-1.oci.oraclecloud.com": false,
	} {
		if got := sample.Matches(t, host); got != want {
			t.Errorf("%s: matched %t, want %t", host, got, want)
		}
	}
}

func TestTheSampleForPodsPassesTheAnnotations(t *testing.T) {
	sample := plugintest.ParseSample(t, Plugin(), podsConfig)
	if got := sample.TokenAttributes.OptionalServiceAccountAnnotationKeys; !slices.Equal(got, []string{identityAnnotation, resourceAnnotation}) {
		t.Errorf("annotations %q", got)
	}
	if _, _, err := Plugin().Load(sample.Args, plugintest.Getenv()); err != nil {
		t.Error(err)
	}
}

func TestTheDocumentationShowsTheSamples(t *testing.T) {
	plugintest.ReadPage(t, "ocir.md").WantShown(t, Plugin(), nodeConfig, podsConfig)
}

func TestTheDocumentedConfigurationFile(t *testing.T) {
	got := plugintest.ReadPage(t, "ocir.md").LoadConfig(t, Plugin()).(*Settings)
	if got.Logins["fra.ocir.io"].Username == "" || got.PodIdentity != tokenExchange {
		t.Errorf("got %+v", got)
	}
}
