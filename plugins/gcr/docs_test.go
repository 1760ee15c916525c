package gcr

import (
	_ "embed"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"regcred/shared/image"
)

//go:embed pods.yaml
var podsConfig string

// kubeletConfig is what these tests look at of a CredentialProviderConfig; that
// the kubelet accepts the whole is tested with the kubelet's own code.
type kubeletConfig struct {
	Providers []struct {
		Name            string   `json:"name"`
		MatchImages     []string `json:"matchImages"`
		Args            []string `json:"args"`
		TokenAttributes struct {
			ServiceAccountTokenAudience          string   `json:"serviceAccountTokenAudience"`
			OptionalServiceAccountAnnotationKeys []string `json:"optionalServiceAccountAnnotationKeys"`
		} `json:"tokenAttributes"`
	} `json:"providers"`
}

func parseKubeletConfig(t *testing.T, text string) kubeletConfig {
	t.Helper()
	var c kubeletConfig
	if err := yaml.Unmarshal([]byte(text), &c); err != nil || len(c.Providers) != 1 || c.Providers[0].Name != Plugin().Name {
		t.Fatalf("got %+v, %v", c, err)
	}
	return c
}

// page returns the documentation.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/gcr.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheSampleConfigurationCoversTheGrammar(t *testing.T) {
	patterns := parseKubeletConfig(t, nodeConfig).Providers[0].MatchImages
	matched := func(host string) bool {
		for _, pattern := range patterns {
			ok, err := image.Match(pattern, host+"/app")
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				return true
			}
		}
		return false
	}
	for _, tc := range hosts {
		want := strings.ToLower(tc.host) == tc.host && !strings.Contains(tc.host, ":")
		if got := matched(tc.host); got != want {
			t.Errorf("%s: matched %t, want %t", tc.host, got, want)
		}
	}
	for _, host := range []string{"us-docker.pkg.dev.evil.com", "evil-gcr.io", "us-maven.pkg.dev", "docker.io", "registry.k8s.io"} {
		if matched(host) {
			t.Errorf("%s is matched", host)
		}
	}
}

func TestTheSampleForPodsIsComplete(t *testing.T) {
	provider := parseKubeletConfig(t, podsConfig).Providers[0]
	loaded, _, err := Plugin().Load(provider.Args, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	attributes := provider.TokenAttributes
	if want := "https://iam.googleapis.com/" + loaded.(*Settings).WorkloadIdentityProvider; attributes.ServiceAccountTokenAudience != want {
		t.Errorf("audience %s, want %s", attributes.ServiceAccountTokenAudience, want)
	}
	if want := []string{providerAnnotation, accountAnnotation}; !slices.Equal(attributes.OptionalServiceAccountAnnotationKeys, want) {
		t.Errorf("annotations %q", attributes.OptionalServiceAccountAnnotationKeys)
	}
}

func TestTheDocumentationShowsTheSamples(t *testing.T) {
	for name, sample := range map[string]string{"node.yaml": nodeConfig, "pods.yaml": podsConfig} {
		if !strings.Contains(page(t), "```yaml\n"+sample+"```\n") {
			t.Errorf("docs/gcr.md does not show %s as it is", name)
		}
	}
	if !strings.HasSuffix(Plugin().Guide, nodeConfig) {
		t.Error("--help does not show the sample")
	}
}

// The configuration file of the documentation is read as it stands.
func TestTheDocumentedConfigurationFile(t *testing.T) {
	_, rest, _ := strings.Cut(page(t), "```yaml\napiVersion: regcred/v1\n")
	sample, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("there is none")
	}
	file := t.TempDir() + "/config.yaml"
	if err := os.WriteFile(file, []byte("apiVersion: regcred/v1\n"+sample), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, err := Plugin().Load([]string{"--config", file}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if got := s.(*Settings); got.WorkloadIdentityProvider == "" || got.ServiceAccount == "" || len(got.Aliases) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestTheDocumentationNamesTheAnnotations(t *testing.T) {
	for _, name := range []string{enableAnnotation, providerAnnotation, accountAnnotation} {
		if !strings.Contains(page(t), name) {
			t.Errorf("docs/gcr.md does not tell of %s", name)
		}
	}
}
