package gcr_test

import (
	"slices"
	"testing"
	"time"

	"regcred/e2e/cloud/gcp"
)

// What was obtained for one service account is for its pods, and for no one
// else, in whatever order they come.
func TestServiceAccountsAreKeptApart(t *testing.T) {
	n := bootNode(t)
	ask := func(p pod) issued {
		return n.ask(p.question(registry+"/p/r/app", wifArgs...)).wantCredential(registry, ownPrincipal(p.ServiceAccount))
	}
	node := n.ask(question{Image: registry + "/p/r/app"}).wantCredential(registry, gcp.Account(nodeAccount))
	n.wantCalls(askMetadata)
	web := ask(n.pod(shop, wifAudience, time.Hour))
	n.wantCalls(askSTS)
	job := ask(n.pod(batch, wifAudience, time.Hour))
	n.wantCalls(askSTS)

	for range 2 {
		if ask(n.pod(shop, wifAudience, time.Hour)).password != web.password {
			t.Error("shop got another token than before")
		}
		if ask(n.pod(batch, wifAudience, time.Hour)).password != job.password {
			t.Error("jobs got another token than before")
		}
		if n.ask(question{Image: registry + "/p/r/app"}).wantCredential(registry, gcp.Account(nodeAccount)).password != node.password {
			t.Error("the node got another token than before")
		}
	}
	n.wantCalls()
}

func TestWhatMakesAPodsIdentity(t *testing.T) {
	sibling, reborn, elsewhere := shop, shop, shop
	sibling.Pod, sibling.PodUID = "web-1", "a7e1b2c3-d4e5-4f60-8192-a3b4c5d6e7f8"
	reborn.UID = "00000000-1111-4222-8333-444444444444"
	elsewhere.Namespace = "stage"
	podScope := []string{"--identity-scope=pod"}
	for _, test := range []struct {
		name      string
		second    pod
		args      []string
		annotated []string
		principal gcp.Principal
		shares    bool
	}{
		{name: "another pod of the service account", second: pod{ServiceAccount: sibling}, shares: true},
		{name: "a new token of the pod", second: pod{ServiceAccount: shop}, shares: true},
		{name: "another pod, pods being kept apart", second: pod{ServiceAccount: sibling}, args: podScope},
		{name: "a new token, pods being kept apart", second: pod{ServiceAccount: shop}, args: podScope, shares: true},
		{name: "a service account that was made anew", second: pod{ServiceAccount: reborn}},
		{name: "the service account of another namespace", second: pod{ServiceAccount: elsewhere}},
		{name: "another provider", second: pod{ServiceAccount: shop}, annotated: []string{providerAnnotation, otherProvider},
			principal: principals + "other-pool/subject/" + gcp.Principal(shop.Subject())},
		{name: "a Google service account", second: pod{ServiceAccount: shop}, annotated: []string{accountAnnotation, pullAccount},
			principal: gcp.Account(pullAccount)},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			other := gcp.WorkloadIdentity("123456789012", "other-pool", "main")
			other.TokenAudiences = append(other.TokenAudiences, wifAudience)
			n.gcp.AddProvider(other)
			n.gcp.AddServiceAccount(gcp.ServiceAccount{Email: pullAccount, Impersonators: []gcp.Principal{ownPrincipal(shop)}})
			args := slices.Concat(test.args, wifArgs)

			first := n.ask(n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", args...)).wantCredential(registry, ownPrincipal(shop))
			if test.principal == "" {
				test.principal = ownPrincipal(test.second.ServiceAccount)
			}
			q := n.pod(test.second.ServiceAccount, wifAudience, time.Hour).question(registry+"/p/r/app", args...).annotated(test.annotated...)
			second := n.ask(q).wantCredential(registry, test.principal)
			if shares := first.password == second.password; shares != test.shares {
				t.Errorf("one token: %t, want %t", shares, test.shares)
			}
		})
	}
}

const otherProvider = "projects/123456789012/locations/global/workloadIdentityPools/other-pool/providers/main"
