package kubelet_test

import (
	"net/netip"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/kubelet/wire"
)

const (
	acrClientAnnotation = "kubernetes.azure.com/acr-client-id"
	acrTenantAnnotation = "kubernetes.azure.com/acr-tenant-id"
	// acrAudience is what the sample for pods names.
	acrAudience = "api://AzureADTokenExchange"

	// acrAppID is an app, and acrPodIdentity an identity, that pods may be.
	acrAppID       = "a0000000-0000-4000-8000-000000000001"
	acrPodIdentity = "a0000000-0000-4000-8000-000000000002"
)

// trustPods makes the app that pods of service accounts are.
func (n *acrNode) trustPods(accounts ...wire.ServiceAccount) {
	app := azure.App{ClientID: acrAppID}
	for _, account := range accounts {
		app.Federated = append(app.Federated, azure.FederatedCredential{
			Issuer: n.azure.Issuer.URL, Subject: "system:serviceaccount:" + account.Namespace + ":" + account.Name, Audience: acrAudience,
		})
	}
	n.azure.AddApp(app)
}

// bindPods makes the endpoint of identity bindings and returns the arguments
// that name it.
func (n *acrNode) bindPods(t *testing.T) []string {
	t.Helper()
	const sni, address = "a1b2c3d4.identitybinding.aks.example", "192.0.2.40"
	authority, err := cloud.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.azure.PlaceIdentityBinding(n.cloud, authority, netip.MustParseAddr(address), sni); err != nil {
		t.Fatal(err)
	}
	return []string{"--ib-sni-name=" + sni, "--ib-apiserver-ip=" + address, "--ib-ca-file=" + cloudtest.File(t, string(authority.PEM()))}
}

// podsOf are lookups of the images, each for a pod of the service account with
// a token of its own, for an audience.
func (n *acrNode) podsOf(account wire.ServiceAccount, audience string, images ...string) []wire.Lookup {
	n.t.Helper()
	return podsOf(n.t, n.azure.Issuer, account, audience, images...)
}
