package kubelet_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"
	"sigs.k8s.io/yaml"
)

// changed writes a sample to a file of the test's own, with its one provider
// changed.
func changed(t *testing.T, sample string, change func(*kubeletconfig.CredentialProvider)) string {
	t.Helper()
	content, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	var config kubeletconfig.CredentialProviderConfig
	if err := yaml.UnmarshalStrict(content, &config); err != nil {
		t.Fatalf("%s: %v", sample, err)
	}
	if len(config.Providers) != 1 {
		t.Fatalf("%s has %d providers, want 1", sample, len(config.Providers))
	}
	change(&config.Providers[0])
	content, err = json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "credential-provider-config.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
