package ecr

import (
	_ "embed"
	"os"
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
		TokenAttributes struct {
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
	undocumented := []string{".on.aws.ic.gov", ".on.aws.scloud", ".on.cloud-aws.adc-e.uk", ".on.aws.hci.ic.gov", ".amazonwebservices.eu"}
	for _, tc := range hosts {
		want := strings.ToLower(tc.host) == tc.host && !strings.Contains(tc.host, ":")
		for _, suffix := range undocumented {
			want = want && !strings.HasSuffix(tc.host, suffix)
		}
		if got := matched(tc.host); got != want {
			t.Errorf("%s: matched %t, want %t", tc.host, got, want)
		}
	}
	for _, host := range []string{"public.ecr.aws", "ecr-public.aws.com"} {
		if !matched(host) {
			t.Errorf("%s is not matched", host)
		}
	}
	for _, host := range []string{"123456789012.dkr.ecr.us-west-2.amazonaws.com.evil.com", "docker.io", "gcr.io"} {
		if matched(host) {
			t.Errorf("%s is matched", host)
		}
	}
}

func TestTheSampleForPodsPassesTheAnnotation(t *testing.T) {
	got := parseKubeletConfig(t, podsConfig).Providers[0].TokenAttributes.OptionalServiceAccountAnnotationKeys
	if len(got) != 1 || got[0] != roleAnnotation {
		t.Errorf("annotations %q", got)
	}
}

func TestTheDocumentationShowsTheSamples(t *testing.T) {
	page, err := os.ReadFile("../../docs/ecr.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, sample := range map[string]string{"node.yaml": nodeConfig, "pods.yaml": podsConfig} {
		if !strings.Contains(string(page), "```yaml\n"+sample+"```\n") {
			t.Errorf("docs/ecr.md does not show %s as it is", name)
		}
	}
	if !strings.HasSuffix(Plugin().Guide, nodeConfig) {
		t.Error("--help does not show the sample")
	}
}

// The configuration file of the documentation is read as it stands.
func TestTheDocumentedConfigurationFile(t *testing.T) {
	page, err := os.ReadFile("../../docs/ecr.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\napiVersion: regcred/v1\n")
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
	if got := s.(*Settings); got.Accounts["210987654321"].ExternalID != "our-cluster" || len(got.Aliases) != 1 {
		t.Errorf("got %+v", got)
	}
}
