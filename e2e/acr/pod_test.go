package acr_test

import (
	"maps"
	"net/netip"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

const (
	clientAnnotation = azure.ClientAnnotation
	tenantAnnotation = azure.TenantAnnotation

	// podAudience is whom the kubelet's tokens are for that go to Entra.
	podAudience = "api://AzureADTokenExchange"

	bindingSNI = "a1b2c3d4.identitybinding.aks.example"
	bindingIP  = "192.0.2.40"
)

// Two workloads.
var shop, batch = fake.Shop, fake.Jobs

// pod is a pod with a token as the kubelet gets it.
type pod struct {
	oidc.ServiceAccount
	token string
}

func (n *node) pod(account oidc.ServiceAccount, audience string, life time.Duration) pod {
	n.T.Helper()
	token, err := n.azure.Issuer.Token(account, audience, life)
	if err != nil {
		n.T.Fatal(err)
	}
	return pod{account, token}
}

// trust makes an app that pods of service accounts are.
func (n *node) trust(clientID string, accounts ...oidc.ServiceAccount) {
	app := azure.App{ClientID: clientID, Tenants: []string{tenant, abroad}}
	for _, account := range accounts {
		app.Federated = append(app.Federated, azure.FederatedCredential{Issuer: n.azure.Issuer.URL, Subject: account.Subject(), Audience: podAudience})
	}
	n.azure.AddApp(app)
}

// question asks for the image in the name of the pod, with annotations of its
// service account given as name and value in turn.
func (p pod) question(annotations ...string) question {
	return question{Image: image, Token: p.token}.annotated(annotations...)
}

// annotated asks with more annotations of the service account.
func (q question) annotated(pairs ...string) question {
	q.Annotations = maps.Clone(q.Annotations)
	if q.Annotations == nil {
		q.Annotations = map[string]string{}
	}
	for i := 0; i < len(pairs); i += 2 {
		q.Annotations[pairs[i]] = pairs[i+1]
	}
	return q
}

// with asks with more arguments.
func (q question) with(args ...string) question {
	q.Args = append(append([]string{}, q.Args...), args...)
	return q
}

// bind makes the endpoint of identity bindings and returns the arguments that
// name it.
func (n *node) bind() []string {
	n.T.Helper()
	authority, err := cloud.NewAuthority()
	if err != nil {
		n.T.Fatal(err)
	}
	if err := n.azure.PlaceIdentityBinding(n.Cloud, authority, netip.MustParseAddr(bindingIP), bindingSNI); err != nil {
		n.T.Fatal(err)
	}
	return []string{"--ib-sni-name", bindingSNI, "--ib-apiserver-ip", bindingIP, "--ib-ca-file", n.file(string(authority.PEM()))}
}

// askBinding is one exchange of a pod's token in the cluster.
var askBinding = calls{"identitybinding GrantToken " + bindingSNI}
