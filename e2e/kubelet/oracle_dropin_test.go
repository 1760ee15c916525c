package kubelet_test

import (
	"os"
	"path/filepath"
	"testing"
)

// The configuration that Oracle's example installs. The name of the file is the
// vendor's, and a link.
func TestTheVendorsConfigurationOfOracleGetsTheNodesToken(t *testing.T) {
	const provider = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: credential-provider-oke
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages:
  - "*.ocir.io"
  defaultCacheDuration: 55m
`
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("registryTokenPath: /20180419/docker/token\ndefaultUser: BEARER_TOKEN\nregistryProtocol: https\nocirAuthMethod: INSTANCE_PRINCIPAL\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, rest := range map[string]string{
		"by its variables": `  env:
  - name: REGISTRY_TOKEN_PATH
    value: /20180419/docker/token
  - name: DEFAULT_USER
    value: BEARER_TOKEN
  - name: REGISTRY_PROTOCOL
    value: https
  - name: OCIR_AUTH_METHOD
    value: INSTANCE_PRINCIPAL
  - name: VERIFY_TOKEN_AUTH
    value: "false"
`,
		"by its file": "  args: [-config, " + file + "]\n",
	} {
		t.Run(name, func(t *testing.T) {
			node := bootOracle(t)
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(provider+rest), 0o600); err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(pluginDir, "credential-provider-oke")
			if err := os.Symlink(node.Plugin, link); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(link) })

			done := startKubelet(t, path).pull(node.images(3)...)

			node.wantAll(done.Answers, node.Machine.Owner)
			node.wantCalls(asked(node.Machine))
		})
	}
}
