package acr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/oidc"
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
	n := podNode(t)
	q := n.pod(shop, podAudience, time.Hour).question(annotated...)
	for range 2 {
		n.ask(q).wantCredential(registry, appID)
	}
	n.wantCalls(askEntra, askExchange)
}

// The tenant that is annotated is asked for the token, and the registry is told
// the same one. The vendor's plugin tells it the node's.
func TestTheAnnotatedTenantIsUsedThroughout(t *testing.T) {
	n := podNode(t)
	n.serveRegistry(azure.Registry{Hosts: []string{registry}, Tenant: abroad, Roles: pullers(abroad, appID)})
	p := n.pod(shop, podAudience, time.Hour)
	for _, name := range []string{abroad, "Fabrikam.onmicrosoft.com"} {
		q := p.question(clientAnnotation, appID, tenantAnnotation, name).with("--tenant-id", tenant)
		n.ask(q).wantCredentialOf(registry, azure.Principal{Tenant: abroad, ClientID: appID})
		n.wantCalls(askEntra, askExchange)
	}
}

// Another name of a registry is no mirror: pods pull as themselves.
func TestAPodPullsAsItselfByAnAliasToo(t *testing.T) {
	n := podNode(t)
	q := n.pod(shop, podAudience, time.Hour).question(annotated...).with("--alias", "images.example.com="+registry)
	q.Image = "images.example.com/" + repository
	n.ask(q).wantMirrored("images.example.com", appID)
	n.wantCalls(askEntra, askExchange)
	q.Annotations = nil
	n.ask(q).wantFailure(1, "images.example.com", "shop/web")
	n.wantCalls()
}

// Where all are of one tenant, the node's need not be annotated.
func TestTheNodesTenantIsThatOfPodsThatNameNone(t *testing.T) {
	n := podNode(t)
	p := n.pod(shop, podAudience, time.Hour)
	n.ask(p.question(clientAnnotation, appID).with("--tenant-id", tenant)).wantCredential(registry, appID)
	n.ask(p.question(clientAnnotation, appID, tenantAnnotation, "").with(azureJSON(t, nil))).wantCredential(registry, appID)
	n.wantCalls(askEntra, askExchange)
	n.ask(p.question(clientAnnotation, appID)).wantFailure(1, "shop/web", tenantAnnotation)
	n.wantCalls()
}

// An annotation is the pod's author's. Whoever names an app that somebody else
// is, has to show to be it as well.
func TestPodsThatNameTheSameAppDoNotShare(t *testing.T) {
	n := podNode(t)
	stranger := shop
	stranger.Namespace = "evil"
	first := n.ask(n.pod(shop, podAudience, time.Hour).question(annotated...)).wantCredential(registry, appID)
	n.wantCalls(askEntra, askExchange)

	second := n.ask(n.pod(batch, podAudience, time.Hour).question(annotated...)).wantCredential(registry, appID)
	if second.password == first.password {
		t.Error("two service accounts have one token")
	}
	n.wantCalls(askEntra, askExchange)

	n.ask(n.pod(stranger, podAudience, time.Hour).question(annotated...)).wantFailure(1, "evil/web", "AADSTS700213")
	n.wantCalls(askEntra)
	n.ask(question{Image: image, Annotations: n.pod(shop, podAudience, time.Hour).question(annotated...).Annotations}).wantCredential(registry, system.ClientID)
	n.wantCalls(askNode)
}

func TestWhatMakesAPodsIdentity(t *testing.T) {
	sibling, reborn, elsewhere := shop, shop, shop
	sibling.Pod, sibling.PodUID = "web-1", "a7e1b2c3-d4e5-4f60-8192-a3b4c5d6e7f8"
	reborn.UID = "00000000-1111-4222-8333-444444444444"
	elsewhere.Namespace = "stage"
	const otherApp = "a0000000-0000-4000-8000-000000000002"
	podScope := []string{"--identity-scope=pod"}
	for _, test := range []struct {
		name      string
		second    oidc.ServiceAccount
		args      []string
		annotated []string
		clientID  string
		shares    bool
	}{
		{name: "another pod of the service account", second: sibling, shares: true},
		{name: "a new token of the pod", second: shop, shares: true},
		{name: "another pod, pods being kept apart", second: sibling, args: podScope},
		{name: "a new token, pods being kept apart", second: shop, args: podScope, shares: true},
		{name: "a service account that was made anew", second: reborn},
		{name: "the service account of another namespace", second: elsewhere},
		{name: "another app", second: shop, annotated: []string{clientAnnotation, otherApp}, clientID: otherApp},
		{name: "another name of the tenant", second: shop, annotated: []string{tenantAnnotation, "contoso.onmicrosoft.com"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := podNode(t)
			n.serve(registry, appID, otherApp)
			n.trust(appID, shop, elsewhere)
			n.trust(otherApp, shop)
			ask := func(account oidc.ServiceAccount, clientID string, more ...string) issued {
				q := n.pod(account, podAudience, time.Hour).question(annotated...).annotated(more...).with(test.args...)
				return n.ask(q).wantCredential(registry, clientID)
			}
			if test.clientID == "" {
				test.clientID = appID
			}
			first := ask(shop, appID)
			second := ask(test.second, test.clientID, test.annotated...)
			if shares := first.password == second.password; shares != test.shares {
				t.Errorf("one token: %t, want %t", shares, test.shares)
			}
		})
	}
}

// What was obtained for one is for nobody else, in whatever order they come.
func TestNodeAndPodsAreKeptApart(t *testing.T) {
	n := podNode(t)
	web := n.pod(shop, podAudience, time.Hour).question(annotated...)
	job := n.pod(batch, podAudience, time.Hour).question(annotated...)
	first := map[string]string{}
	for round := range 3 {
		for name, q := range map[string]question{"node": {Image: image}, "web": web, "job": job} {
			want := appID
			if name == "node" {
				want = system.ClientID
			}
			token := n.ask(q).wantCredential(registry, want)
			if round == 0 {
				first[name] = token.password
			} else if token.password != first[name] {
				t.Errorf("%s got another token than before", name)
			}
		}
	}
	if first["web"] == first["job"] || first["web"] == first["node"] {
		t.Error("tokens are shared")
	}
	if asked := n.cloud.Calls.Count("entra", ""); asked != 2 {
		t.Errorf("Entra was asked %d times, want 2", asked)
	}
}
