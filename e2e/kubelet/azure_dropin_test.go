package kubelet_test

import (
	"net/netip"
	"strings"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/oidc"
)

// azureRegistry is a booted node's first.
const azureRegistry = "example.azurecr.io"

// aksMatchImages is what AgentBaker writes on every node of AKS.
const aksMatchImages = `    matchImages:
      - "*.azurecr.io"
      - "*.azurecr.cn"
      - "*.azurecr.de"
      - "*.azurecr.us"
      - "*.*.geo.azurecr.io"
      - "*.*.geo.azurecr.cn"
      - "*.*.geo.azurecr.de"
      - "*.*.geo.azurecr.us"
`

// Configurations that nodes have today. Only the binary is another one.
func TestTheVendorsConfigurationsOfAzureGetTheNodesToken(t *testing.T) {
	for name, test := range map[string]struct {
		provider string
		images   []string
	}{
		"AKS": {aksMatchImages + `    defaultCacheDuration: "10m"
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    args:
      - /etc/kubernetes/azure.json
`, []string{azureRegistry + "/team/app:v1"}},
		"AKS, isolated": {aksMatchImages + `      - "mcr.microsoft.com"
    defaultCacheDuration: "10m"
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    args:
      - /etc/kubernetes/azure.json
      - --registry-mirror=mcr.microsoft.com:` + azureRegistry + `
`, []string{azureRegistry + "/team/app:v1", "mcr.microsoft.com/oss/kubernetes/pause:3.6"}},
		"self-managed, with klog's flags": {`    matchImages:
      - "*.azurecr.io"
      - "*.azurecr.cn"
      - "*.azurecr.de"
      - "*.azurecr.us"
    defaultCacheDuration: "10m"
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    args:
      - /etc/kubernetes/azure.json
      - --v=2
`, []string{azureRegistry + "/team/app:v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			node := bootAzure(t)
			config := node.config("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: " + node.Plugin + "\n" + test.provider)

			done := startKubelet(t, config).pull(test.images...)

			for i, answer := range done.Answers {
				if len(answer.Credentials) != 1 {
					t.Fatalf("%s: %d credentials", test.images[i], len(answer.Credentials))
				}
				credential := answer.Credentials[0]
				if err := node.azure.Pull(azureRegistry, credential.Username, credential.Password, "team/app"); err != nil {
					t.Errorf("%s: %v", test.images[i], err)
				}
			}
			node.wantCalls(asked(node.Machine))
		})
	}
}

// AKS's configuration of identity bindings does not list the annotation for the
// tenant, and names defaults.
func TestTheVendorsConfigurationOfIdentityBindings(t *testing.T) {
	node := bootAzure(t)
	args := node.bindPods()
	web, batch := serviceAccount("shop", "web"), serviceAccount("shop", "batch", azure.ClientAnnotation, azureAppID)
	node.serve(azureRegistry, azure.NodeIdentity.ClientID, azureAppID, azurePodIdentity)
	node.azure.Bind(azurePodIdentity, oidc.ServiceAccount{Namespace: "shop", Name: "web"}.Subject())
	node.azure.Bind(azureAppID, oidc.ServiceAccount{Namespace: "shop", Name: "batch"}.Subject())
	config := node.config("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: " + node.Plugin + "\n" + aksMatchImages +
		`      - "mcr.microsoft.com"
    defaultCacheDuration: "10m"
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    tokenAttributes:
      serviceAccountTokenAudience: api://AKSIdentityBinding
      requireServiceAccount: false
      cacheType: ServiceAccount
      optionalServiceAccountAnnotationKeys:
        - kubernetes.azure.com/acr-client-id
    args:
      - /etc/kubernetes/azure.json
      - --registry-mirror=mcr.microsoft.com:` + azureRegistry + `
      - --ib-default-client-id=` + azurePodIdentity + `
      - --ib-default-tenant-id=` + azure.HomeTenant + `
` + "      - " + strings.Join(args, "\n      - ") + "\n")
	kubelet := startKubelet(t, config, web, batch)
	images := node.images(1)

	node.wantAll(kubelet.lookup(node.podsFor(web, azure.BindingAudience, images...)...).Answers, azurePodIdentity)
	node.wantAll(kubelet.lookup(node.podsFor(batch, azure.BindingAudience, images...)...).Answers, azureAppID)
	node.wantCalls(calls{"identitybinding GrantToken": 2, "acr Exchange": 2})

	// A mirrored image is the node's, also for a pod, and for a static one.
	mirrored := "mcr.microsoft.com/oss/kubernetes/pause:3.6"
	done := kubelet.lookup(append(node.podsFor(web, azure.BindingAudience, mirrored), staticPods(mirrored)...)...)
	for i, answer := range done.Answers {
		if len(answer.Credentials) != 1 {
			t.Fatalf("mirrored image %d has %d credentials", i, len(answer.Credentials))
		}
		if token, ok := node.azure.Credential(answer.Credentials[0].Password); !ok || token.Principal.ClientID != azure.NodeIdentity.ClientID {
			t.Errorf("mirrored image %d is pulled as %s", i, token.Principal.ClientID)
		}
	}
	node.wantCalls(asked(node.Machine))
}

// config writes a configuration with azure.json where it is on this node.
func (n *azureNode) config(content string) string {
	n.t.Helper()
	return cloudtest.File(n.t, n.here(content))
}

// bindPods makes the endpoint of identity bindings and returns the arguments
// that name it.
func (n *azureNode) bindPods() []string {
	n.t.Helper()
	const sni, address = "a1b2c3d4.identitybinding.aks.example", "192.0.2.40"
	authority, err := cloud.NewAuthority()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.azure.PlaceIdentityBinding(n.Cloud, authority, netip.MustParseAddr(address), sni); err != nil {
		n.t.Fatal(err)
	}
	return []string{"--ib-sni-name=" + sni, "--ib-apiserver-ip=" + address, "--ib-ca-file=" + cloudtest.File(n.t, string(authority.PEM()))}
}
