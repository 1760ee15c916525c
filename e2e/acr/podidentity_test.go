package acr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud/azure"
)

// podNode is a node whose registry the app may pull from, which pods of the two
// service accounts are.
func podNode(t *testing.T) *node {
	t.Helper()
	n := bootNode(t)
	n.serve(registry, system.ClientID, appID)
	n.trust(appID, shop, batch)
	return n
}

var annotated = []string{clientAnnotation, appID, tenantAnnotation, tenant}

func TestAPodPullsAsTheAppThatItsServiceAccountNames(t *testing.T) {
	t.Parallel()
	n := podNode(t)
	q := n.pod(shop, podAudience, time.Hour).question(annotated...)
	for range 2 {
		n.ask(q).wantCredential(registry, appID)
	}
	n.WantCalls(askEntra, askExchange)
}

// The tenant that is annotated is asked for the token, and the registry is told
// the same one. The vendor's plugin tells it the node's.
func TestTheAnnotatedTenantIsUsedThroughout(t *testing.T) {
	t.Parallel()
	n := podNode(t)
	n.serveRegistry(azure.Registry{Hosts: []string{registry}, Tenant: abroad, Roles: pullers(abroad, appID)})
	p := n.pod(shop, podAudience, time.Hour)
	for _, name := range []string{abroad, "Fabrikam.onmicrosoft.com"} {
		q := p.question(clientAnnotation, appID, tenantAnnotation, name).with("--tenant-id", tenant)
		n.ask(q).wantCredentialOf(registry, azure.Principal{Tenant: abroad, ClientID: appID})
		n.WantCalls(askEntra, askExchange)
	}
}

// Another name of a registry is no mirror: pods pull as themselves.
func TestAPodPullsAsItselfByAnAliasToo(t *testing.T) {
	t.Parallel()
	n := podNode(t)
	q := n.pod(shop, podAudience, time.Hour).question(annotated...).with("--alias", "images.example.com="+registry)
	q.Image = "images.example.com/" + repository
	n.ask(q).wantMirrored("images.example.com", appID)
	n.WantCalls(askEntra, askExchange)
	q.Annotations = nil
	n.ask(q).WantFailure(1, "images.example.com", "shop/web")
	n.WantCalls()
}

// Where all are of one tenant, the node's need not be annotated.
func TestTheNodesTenantIsThatOfPodsThatNameNone(t *testing.T) {
	t.Parallel()
	n := podNode(t)
	p := n.pod(shop, podAudience, time.Hour)
	n.ask(p.question(clientAnnotation, appID).with("--tenant-id", tenant)).wantCredential(registry, appID)
	n.ask(p.question(clientAnnotation, appID, tenantAnnotation, "").with(azureJSON(t, nil))).wantCredential(registry, appID)
	n.WantCalls(askEntra, askExchange)
	n.ask(p.question(clientAnnotation, appID)).WantFailure(1, "shop/web", tenantAnnotation)
	n.WantCalls()
}

// An annotation is the pod's author's. Whoever names an app that somebody else
// is, has to show to be it as well.
func TestPodsThatNameTheSameAppDoNotShare(t *testing.T) {
	t.Parallel()
	n := podNode(t)
	stranger := shop
	stranger.Namespace = "evil"
	first := n.ask(n.pod(shop, podAudience, time.Hour).question(annotated...)).wantCredential(registry, appID)
	n.WantCalls(askEntra, askExchange)

	second := n.ask(n.pod(batch, podAudience, time.Hour).question(annotated...)).wantCredential(registry, appID)
	if second.password == first.password {
		t.Error("two service accounts have one token")
	}
	n.WantCalls(askEntra, askExchange)

	n.ask(n.pod(stranger, podAudience, time.Hour).question(annotated...)).WantFailure(1, "evil/web", "AADSTS700213")
	n.WantCalls(askEntra)
	n.ask(question{Image: image, Annotations: n.pod(shop, podAudience, time.Hour).question(annotated...).Annotations}).wantCredential(registry, system.ClientID)
	n.WantCalls(askNode)
}

// What a service account's annotations name is part of the identity.
func TestEachIdentityOfAServiceAccountHasATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	const otherApp = "a0000000-0000-4000-8000-000000000002"
	n := podNode(t)
	n.serve(registry, appID, otherApp)
	n.trust(otherApp, shop)
	q := n.pod(shop, podAudience, time.Hour).question(annotated...)
	for range 2 {
		n.ask(q).wantCredential(registry, appID)
		n.ask(q.annotated(clientAnnotation, otherApp)).wantCredential(registry, otherApp)
		n.ask(q.annotated(tenantAnnotation, "contoso.onmicrosoft.com")).wantCredential(registry, appID)
	}
	n.WantCalls(askEntra, askExchange, askEntra, askExchange, askEntra, askExchange)
}
