package kubelet_test

import (
	"strings"
	"testing"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/oidc"
)

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
func TestTheVendorsConfigurationsOfACRGetTheNodesToken(t *testing.T) {
	for name, test := range map[string]struct {
		provider string
		images   []string
	}{
		"AKS": {aksMatchImages + `    defaultCacheDuration: "10m"
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    args:
      - /etc/kubernetes/azure.json
`, []string{acrRegistry + "/team/app:v1"}},
		"AKS, isolated": {aksMatchImages + `      - "mcr.microsoft.com"
    defaultCacheDuration: "10m"
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    args:
      - /etc/kubernetes/azure.json
      - --registry-mirror=mcr.microsoft.com:` + acrRegistry + `
`, []string{acrRegistry + "/team/app:v1", "mcr.microsoft.com/oss/kubernetes/pause:3.6"}},
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
`, []string{acrRegistry + "/team/app:v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			node := bootACRNode(t)
			config := acrConfig(t, "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: "+acrPlugin+"\n"+test.provider)

			done := startKubelet(t, config).pull(test.images...)

			for i, answer := range done.Answers {
				if len(answer.Credentials) != 1 {
					t.Fatalf("%s: %d credentials", test.images[i], len(answer.Credentials))
				}
				credential := answer.Credentials[0]
				if err := node.azure.Pull(acrRegistry, credential.Username, credential.Password, "team/app"); err != nil {
					t.Errorf("%s: %v", test.images[i], err)
				}
			}
			node.wantCalls(askACRNode)
		})
	}
}

// AKS's configuration of identity bindings does not list the annotation for the
// tenant, and names defaults.
func TestTheVendorsConfigurationOfIdentityBindings(t *testing.T) {
	node := bootACRNode(t)
	args := node.bindPods(t)
	web, batch := serviceAccount("shop", "web"), serviceAccount("shop", "batch", acrClientAnnotation, acrAppID)
	node.serve(acrRegistry, acrNodeIdentity.ClientID, acrAppID, acrPodIdentity)
	node.azure.Bind(acrPodIdentity, oidc.ServiceAccount{Namespace: "shop", Name: "web"}.Subject())
	node.azure.Bind(acrAppID, oidc.ServiceAccount{Namespace: "shop", Name: "batch"}.Subject())
	config := acrConfig(t, "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n  - name: "+acrPlugin+"\n"+aksMatchImages+
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
      - --registry-mirror=mcr.microsoft.com:`+acrRegistry+`
      - --ib-default-client-id=`+acrPodIdentity+`
      - --ib-default-tenant-id=`+azure.HomeTenant+`
`+"      - "+strings.Join(args, "\n      - ")+"\n")
	kubelet := startKubelet(t, config, web, batch)
	images := acrImages(1)

	node.wantAll(images, kubelet.lookup(node.podsOf(web, azure.BindingAudience, images...)...).Answers, acrPodIdentity)
	node.wantAll(images, kubelet.lookup(node.podsOf(batch, azure.BindingAudience, images...)...).Answers, acrAppID)
	node.wantCalls(calls{"identitybinding GrantToken": 2, "acr Exchange": 2})

	// A mirrored image is the node's, also for a pod, and for a static one.
	mirrored := "mcr.microsoft.com/oss/kubernetes/pause:3.6"
	done := kubelet.lookup(append(node.podsOf(web, azure.BindingAudience, mirrored), staticPods(mirrored)...)...)
	for i, answer := range done.Answers {
		if len(answer.Credentials) != 1 {
			t.Fatalf("mirrored image %d has %d credentials", i, len(answer.Credentials))
		}
		if token, ok := node.azure.Credential(answer.Credentials[0].Password); !ok || token.Principal.ClientID != acrNodeIdentity.ClientID {
			t.Errorf("mirrored image %d is pulled as %s", i, token.Principal.ClientID)
		}
	}
	node.wantCalls(askACRNode)
}
