package kubelet

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"
	"sigs.k8s.io/yaml"
)

// YAML returns the configuration as one file of the newest version, whatever
// files and versions it was read from.
func (c *Config) YAML() ([]byte, error) {
	providers := make([]kubeletconfig.CredentialProvider, 0, len(c.Providers))
	for _, p := range c.Providers {
		providers = append(providers, p.CredentialProvider)
	}
	return Encode(providers)
}

// Encode writes a configuration of the newest version.
func Encode(providers []kubeletconfig.CredentialProvider) ([]byte, error) {
	text, err := yaml.Marshal(&kubeletconfig.CredentialProviderConfig{
		TypeMeta:  metav1.TypeMeta{APIVersion: configVersions[0], Kind: configKind},
		Providers: providers,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the configuration: %w", err)
	}
	return text, nil
}
