package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/kubelet/wire"
)

// azureAppID is an app, and azurePodIdentity an identity, that pods may be.
const (
	azureAppID       = "a0000000-0000-4000-8000-000000000001"
	azurePodIdentity = "a0000000-0000-4000-8000-000000000002"
)

// trustPods makes the app that pods of service accounts are.
func (n *azureNode) trustPods(accounts ...wire.ServiceAccount) {
	app := azure.App{ClientID: azureAppID}
	for _, account := range accounts {
		app.Federated = append(app.Federated, azure.FederatedCredential{
			Issuer: n.azure.Issuer.URL, Subject: "system:serviceaccount:" + account.Namespace + ":" + account.Name, Audience: n.Audience,
		})
	}
	n.azure.AddApp(app)
}

// A pod has its own identity or none: the node's is not lent.
func TestAPodThatAzureRefusesGetsNothing(t *testing.T) {
	annotated := []string{azure.ClientAnnotation, azureAppID, azure.TenantAnnotation, azure.HomeTenant}
	for _, test := range []struct {
		name    string
		account wire.ServiceAccount
		trusted bool
		calls   calls
		says    []string
	}{
		{"no federated credential", serviceAccount("shop", "web", annotated...), false, calls{"entra GrantToken": 1},
			[]string{"entra", "AADSTS70025", "shop/web", azureAppID, "system:serviceaccount:shop:web"}},
		{"no role", serviceAccount("shop", "web", annotated...), true, calls{"entra GrantToken": 1, "acr Exchange": 1},
			[]string{"exchange", "401", "shop/web", azureAppID, "AcrPull", "Container Registry Repository Reader"}},
		{"no annotations", serviceAccount("shop", "web"), true, calls{}, []string{"shop/web", azure.ClientAnnotation}},
		{"an annotation that is no id", serviceAccount("shop", "web", azure.ClientAnnotation, "pull"), true, calls{}, []string{"shop/web", azure.ClientAnnotation}},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := bootAzure(t)
			node.trustPods()
			if test.trusted {
				node.trustPods(test.account)
			}
			kubelet := startKubelet(t, node.podsSample(), test.account)
			images := node.images(1)

			done := kubelet.lookup(node.podsOf(test.account, images...)...)

			node.wantAll(done.Answers, "nobody's")
			node.wantCalls(test.calls)
			node.wantOneFailure(done, test.says...)
		})
	}
}
