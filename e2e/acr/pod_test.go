package acr_test

import (
	"maps"
	"net/netip"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/oidc"
)

const (
	clientAnnotation = "kubernetes.azure.com/acr-client-id"
	tenantAnnotation = "kubernetes.azure.com/acr-tenant-id"

	// podAudience is whom the kubelet's tokens are for that go to Entra.
	podAudience = "api://AzureADTokenExchange"

	bindingSNI = "a1b2c3d4.identitybinding.aks.example"
	bindingIP  = "192.0.2.40"
)

// cluster signs the tokens of all tests' pods: to make a key takes longer than
// most tests do.
var cluster = oidc.NewIssuer("https://eastus.oic.prod-aks.azure.com/" + tenant + "/5f8f4b1e-6f5c-4c56-9d3a-1f0e2d3c4b5a/")

// Two workloads.
var (
	shop = oidc.ServiceAccount{
		Namespace: "shop", Name: "web", UID: "8f0e1b1c-3c4f-4b55-9a1d-0c3f6a1f2b10",
		Pod: "web-0", PodUID: "5d8c7a52-6e0b-4d2e-8f33-1b2a9c4d5e6f", Node: "node1", NodeUID: "0b1c2d3e-4f50-4162-9374-85960718293a",
	}
	batch = oidc.ServiceAccount{
		Namespace: "jobs", Name: "batch", UID: "c2a3b4c5-d6e7-4890-a1b2-c3d4e5f60718",
		Pod: "batch-0", PodUID: "11f2e3d4-c5b6-47a8-9988-776655443322", Node: "node1", NodeUID: "0b1c2d3e-4f50-4162-9374-85960718293a",
	}
)

// pod is a pod with a token as the kubelet gets it.
type pod struct {
	oidc.ServiceAccount
	token string
}

func (n *node) pod(account oidc.ServiceAccount, audience string, life time.Duration) pod {
	n.t.Helper()
	token, err := n.azure.Issuer.Token(account, audience, life)
	if err != nil {
		n.t.Fatal(err)
	}
	return pod{account, token}
}

// trust makes an app that pods of service accounts are.
func (n *node) trust(clientID string, accounts ...oidc.ServiceAccount) {
	app := azure.App{ClientID: clientID, Tenants: []string{tenant, abroad}}
	for _, account := range accounts {
		app.Federated = append(app.Federated, azure.FederatedCredential{Issuer: cluster.URL, Subject: account.Subject(), Audience: podAudience})
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
	n.t.Helper()
	authority, err := cloud.NewAuthority()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.azure.PlaceIdentityBinding(n.cloud, authority, netip.MustParseAddr(bindingIP), bindingSNI); err != nil {
		n.t.Fatal(err)
	}
	return []string{"--ib-sni-name", bindingSNI, "--ib-apiserver-ip", bindingIP, "--ib-ca-file", n.file(string(authority.PEM()))}
}

// askBinding is one exchange of a pod's token in the cluster.
var askBinding = calls{"identitybinding GrantToken " + bindingSNI}
