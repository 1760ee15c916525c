package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// REGCRED_CONFIG names the kubelet's configuration here, and its own settings to
// a plugin.
func TestProvidersDoNotInheritWhatIsTheHelpers(t *testing.T) {
	bin := t.TempDir()
	config := filepath.Join(bin, "providers.yaml")
	for path, text := range map[string]string{
		filepath.Join(bin, "provider"): "#!/bin/sh\n",
		config: `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  defaultCacheDuration: 0s
  matchImages: [registry.example.com]
`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil { //nolint:gosec // One of them is a program.
			t.Fatal(err)
		}
	}
	variables := map[string]string{"REGCRED_CONFIG": config, "REGCRED_BIN_DIR": bin}
	a := app{
		getenv:  func(name string) string { return variables[name] },
		environ: []string{"REGCRED_CONFIG=" + config, "REGCRED_BIN_DIR=" + bin},
	}
	found, err := a.findProviders()
	if err != nil {
		t.Fatal(err)
	}
	if found.Runner.BinDir != bin || len(found.Config.Providers) != 1 {
		t.Errorf("found %+v", found)
	}
	if slices.ContainsFunc(found.Runner.Environ, func(variable string) bool { return strings.HasPrefix(variable, "REGCRED_CONFIG=") }) {
		t.Errorf("providers inherit %q", found.Runner.Environ)
	}
}
