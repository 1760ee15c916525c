package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// azureNode is a node of AKS.
type azureNode struct {
	*node
	azure *azure.Fake
}

func bootAzure(t *testing.T) *azureNode {
	t.Helper()
	f, booted, err := azure.Boot(cloudtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	return &azureNode{&node{booted, t}, f}
}

// serve makes a registry from which identities may pull.
func (n *azureNode) serve(host string, clientIDs ...string) {
	n.t.Helper()
	registry := azure.Registry{Hosts: []string{host}}
	for _, id := range clientIDs {
		registry.Roles = append(registry.Roles, azure.Role{Name: azure.AcrPull, Principal: azure.Principal{Tenant: azure.HomeTenant, ClientID: id}})
	}
	n.azure.AddRegistry(registry)
	if err := n.azure.PlaceRegistries(n.Cloud, host); err != nil {
		n.t.Fatal(err)
	}
}
