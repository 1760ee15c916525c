package plugintest

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"regcred/shared/image"
	"regcred/shared/plugin"
)

// Sample is what tests look at of a provider in a CredentialProviderConfig;
// that the kubelet accepts the whole is tested with the kubelet's own code.
type Sample struct {
	Name            string   `json:"name"`
	MatchImages     []string `json:"matchImages"`
	Args            []string `json:"args"`
	TokenAttributes struct {
		ServiceAccountTokenAudience          string   `json:"serviceAccountTokenAudience"`
		OptionalServiceAccountAnnotationKeys []string `json:"optionalServiceAccountAnnotationKeys"`
	} `json:"tokenAttributes"`
}

// ParseSample reads a kubelet configuration of one plugin alone.
func ParseSample(t *testing.T, p plugin.Plugin, text string) Sample {
	t.Helper()
	var config struct {
		Providers []Sample `json:"providers"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil || len(config.Providers) != 1 || config.Providers[0].Name != p.Name {
		t.Fatalf("got %+v, %v", config, err)
	}
	return config.Providers[0]
}

// Matches reports whether the kubelet asks the plugin about the images of a
// host.
func (s Sample) Matches(t *testing.T, host string) bool {
	t.Helper()
	for _, pattern := range s.MatchImages {
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

// Page is a page of the documentation.
type Page struct {
	Name, Text string
}

// ReadPage reads docs/NAME, for the test of a plugin's package.
func ReadPage(t *testing.T, name string) Page {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return Page{Name: name, Text: string(text)}
}

// WantShown fails the test unless the page shows every sample of a plugin as it
// is, and --help the first.
func (p Page) WantShown(t *testing.T, described plugin.Plugin, samples ...string) {
	t.Helper()
	if !strings.HasSuffix(described.Guide, samples[0]) {
		t.Error("--help does not show the sample")
	}
	for _, sample := range samples {
		if !strings.Contains(p.Text, "```yaml\n"+sample+"```\n") {
			t.Errorf("docs/%s does not show as it is:\n%s", p.Name, sample)
		}
	}
}

// WantTold fails the test unless the page has every word, on however many lines.
func (p Page) WantTold(t *testing.T, words ...string) {
	t.Helper()
	text := strings.Join(strings.Fields(p.Text), " ")
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("docs/%s does not tell of %s", p.Name, word)
		}
	}
}

// LoadConfig reads the plugin's configuration file that the page shows, as it
// stands.
func (p Page) LoadConfig(t *testing.T, described plugin.Plugin) plugin.Settings {
	t.Helper()
	const head = "apiVersion: regcred/v1\nkind: "
	_, rest, _ := strings.Cut(p.Text, "```yaml\n"+head)
	sample, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatalf("docs/%s shows no configuration file", p.Name)
	}
	file := t.TempDir() + "/config.yaml"
	if err := os.WriteFile(file, []byte(head+sample), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--config", file}
	if _, _, err := described.Load(args, Getenv()); err != nil {
		t.Fatal(err)
	}
	s, _, err := described.Read(args, Getenv())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
