package ecr_test

import (
	"testing"

	"regcred/e2e/cloud/aws"
)

// What was obtained for one service account is for its pods, and for no one
// else, in whatever order they come.
func TestServiceAccountsAreKeptApart(t *testing.T) {
	n := bootNode(t)
	n.addRole(shopRole, shop)
	n.addRole(batchRole, batch)
	askRole := []calls{askSTS("AssumeRoleWithWebIdentity", stsAPI), askECR(ecrAPI)}

	node := n.ask(question{Image: registry + "/app"}).wantCredential(registry, nodeRole)
	n.wantCalls(askIMDS, askECR(ecrAPI))
	web := n.ask(n.pod(shop).question(registry+"/app").as(shopRole)).wantCredential(registry, shopRole)
	n.wantCalls(askRole...)
	job := n.ask(n.pod(batch).question(registry+"/app").as(batchRole)).wantCredential(registry, batchRole)
	n.wantCalls(askRole...)

	for range 2 {
		for _, again := range []struct {
			name     string
			password string
			got      issued
		}{
			{"node", node.password, n.ask(question{Image: registry + "/other"}).wantCredential(registry, nodeRole)},
			{"shop", web.password, n.ask(n.pod(shop).question(registry+"/other").as(shopRole)).wantCredential(registry, shopRole)},
			{"jobs", job.password, n.ask(n.pod(batch).question(registry+"/other").as(batchRole)).wantCredential(registry, batchRole)},
		} {
			if again.got.password != again.password {
				t.Errorf("%s got another password than before", again.name)
			}
		}
	}
	n.wantCalls()

	// The annotation alone buys nothing.
	n.ask(n.pod(batch).question(registry+"/app").as(shopRole)).wantFailure(1, "AccessDenied")
}

func TestWhatMakesAPodsIdentity(t *testing.T) {
	sibling, reborn, elsewhere := shop, shop, shop
	sibling.Pod, sibling.PodUID = "web-1", "a7e1b2c3-d4e5-4f60-8192-a3b4c5d6e7f8"
	reborn.UID = "00000000-1111-4222-8333-444444444444"
	elsewhere.Namespace = "stage"
	const otherRole = "arn:aws:iam::123456789012:role/pull-other"

	podScope := []string{"--identity-scope=pod"}
	for _, test := range []struct {
		name   string
		second pod
		role   string
		args   []string
		shares bool
	}{
		{name: "another pod of the service account", second: pod{ServiceAccount: sibling}, role: shopRole, shares: true},
		{name: "a new token of the pod", second: pod{ServiceAccount: shop}, role: shopRole, shares: true},
		{name: "another pod, pods being kept apart", second: pod{ServiceAccount: sibling}, role: shopRole, args: podScope},
		{name: "a new token, pods being kept apart", second: pod{ServiceAccount: shop}, role: shopRole, args: podScope, shares: true},
		{name: "a service account that was made anew", second: pod{ServiceAccount: reborn}, role: shopRole},
		{name: "the service account of another namespace", second: pod{ServiceAccount: elsewhere}, role: shopRole},
		{name: "another role of the service account", second: pod{ServiceAccount: shop}, role: otherRole},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			for _, role := range []string{shopRole, otherRole} {
				n.aws.AddRole(aws.Role{ARN: role, Allow: []aws.Action{aws.ECRToken}, Subjects: []string{shop.Subject(), elsewhere.Subject()}})
			}
			first := n.ask(n.pod(shop).question(registry+"/app", test.args...).as(shopRole)).wantCredential(registry, shopRole)
			second := n.ask(n.pod(test.second.ServiceAccount).question(registry+"/app", test.args...).as(test.role)).wantCredential(registry, test.role)
			if shares := first.password == second.password; shares != test.shares {
				t.Errorf("one password: %t, want %t", shares, test.shares)
			}
			want := 2
			if test.shares {
				want = 1
			}
			if asked := n.cloud.Calls.Count("sts", ""); asked != want {
				t.Errorf("STS was asked %d times, want %d", asked, want)
			}
		})
	}
}
