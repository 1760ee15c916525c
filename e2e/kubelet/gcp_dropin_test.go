package kubelet_test

import (
	"os"
	"path/filepath"
	"testing"
)

// Configurations that nodes have today. Only the binary is another one.
func TestTheVendorsConfigurationsOfGCPGetTheNodesToken(t *testing.T) {
	const match = `    matchImages:
    - container.cloud.google.com
    - gcr.io
    - "*.gcr.io"
    - "*.pkg.dev"
`
	for name, provider := range map[string]string{
		"GKE": `    apiVersion: credentialprovider.kubelet.k8s.io/v1
` + match + `    defaultCacheDuration: 1m
    args:
    - get-credentials
    - --v=3
`,
		"GKE, before v1": `    apiVersion: credentialprovider.kubelet.k8s.io/v1beta1
` + match + `    defaultCacheDuration: 1m
    args:
    - get-credentials
    - --v=3
`,
		"OpenShift": `    apiVersion: credentialprovider.kubelet.k8s.io/v1
` + match + `    defaultCacheDuration: "0s"
    args:
    - get-credentials
`,
		"with the variables": `    apiVersion: credentialprovider.kubelet.k8s.io/v1
` + match + `    defaultCacheDuration: 1m
    args:
    - get-credentials
    env:
    - name: KUBE_SIDECAR_CACHE_DURATION
      value: 24h
    - name: KUBE_SIDECAR_CACHE_TYPE
      value: global
`,
	} {
		t.Run(name, func(t *testing.T) {
			node := bootGCP(t)
			path := filepath.Join(t.TempDir(), "config.yaml")
			config := "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: " + node.Plugin + "\n" + provider
			if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}

			done := startKubelet(t, path).pull("gcr.io/project/app", node.Registry(0)+"/project/team/app:v1")

			node.wantAll(done.Answers, node.Machine.Owner)
			node.wantCalls(asked(node.Machine))
		})
	}
}
