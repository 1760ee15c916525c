package gcr

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
		want := strings.ToLower(tc.host) == tc.host && !strings.Contains(tc.host, ":")
		if got := sample.Matches(t, tc.host); got != want {
			t.Errorf("%s: matched %t, want %t", tc.host, got, want)
		}
	}
	for _, host := range []string{"us-docker.pkg.dev.evil.com", "evil-gcr.io", "us-maven.pkg.dev", "docker.io", "registry.k8s.io"} {
		if sample.Matches(t, host) {
			t.Errorf("%s is matched", host)
		}
	}
}

func TestTheSampleForPodsIsComplete(t *testing.T) {
	sample := plugintest.ParseSample(t, Plugin(), podsConfig)
	loaded, _, err := Plugin().Read(sample.Args, plugintest.Getenv())
	if err != nil {
		t.Fatal(err)
	}
	attributes := sample.TokenAttributes
	if want := "https://iam.googleapis.com/" + loaded.(*Settings).WorkloadIdentityProvider; attributes.ServiceAccountTokenAudience != want {
		t.Errorf("audience %s, want %s", attributes.ServiceAccountTokenAudience, want)
	}
	if want := []string{providerAnnotation, accountAnnotation}; !slices.Equal(attributes.OptionalServiceAccountAnnotationKeys, want) {
		t.Errorf("annotations %q", attributes.OptionalServiceAccountAnnotationKeys)
	}
}

func TestTheDocumentationShowsTheSamples(t *testing.T) {
	plugintest.ReadPage(t, "gcr.md").WantShown(t, Plugin(), nodeConfig, podsConfig)
}

func TestTheDocumentedConfigurationFile(t *testing.T) {
	got := plugintest.ReadPage(t, "gcr.md").LoadConfig(t, Plugin()).(*Settings)
	if got.WorkloadIdentityProvider == "" || got.ServiceAccount == "" || len(got.Aliases) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestTheDocumentationNamesTheAnnotations(t *testing.T) {
	plugintest.ReadPage(t, "gcr.md").WantTold(t, enableAnnotation, providerAnnotation, accountAnnotation)
}
