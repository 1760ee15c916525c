package kubelet_test

import (
	"slices"
	"strings"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/kubelet/wire"
)

func TestAPodGetsTheCredentialOfItsOwnIdentity(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		identity, web := n.workload(fake.Shop)
		kubelet := startKubelet(t, n.podsSample(), web)

		done := kubelet.lookup(n.podsOf(web, n.images(1)...)...)

		n.wantAll(done.Answers, identity.Owner)
		n.wantCalls(asked(identity))
		for _, credential := range done.Answers[0].Credentials {
			if credential.ServiceAccount != "shop/web" {
				t.Errorf("kubelet ties the credential to %q, want shop/web", credential.ServiceAccount)
			}
		}
	})
}

// Every pod's token is another one, and still the cloud is asked once for each
// service account. Static pods have none: the sample lets them use the node's
// identity, which other pods are not given.
func TestPodsAtOnceGetEachTheirOwn(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		const each = 15
		ours, web := n.workload(fake.Shop)
		theirs, batch := n.workload(fake.Jobs)
		n.slowDown()
		kubelet := startKubelet(t, n.podsSample(), web, batch)
		images := n.images(each)

		done := kubelet.lookup(slices.Concat(n.podsOf(web, images...), n.podsOf(batch, images...), staticPods(images...))...)

		if runs := done.PluginRuns[n.Plugin]; runs != 3*each {
			t.Fatalf("kubelet ran the plugin %d times, want %d", runs, 3*each)
		}
		n.wantAll(done.Answers[:each], ours.Owner)
		n.wantAll(done.Answers[each:2*each], theirs.Owner)
		n.wantAll(done.Answers[2*each:], n.Machine.Owner)
		n.wantCalls(asked(ours), asked(theirs), asked(n.Machine))
		if different := len(passwords(done.Answers)); different != 3 {
			t.Errorf("%d different passwords, want one for each of three", different)
		}
	})
}

// The same name in another namespace is another service account, and so is one
// that was deleted and made again, be it with the same annotations.
func TestServiceAccountsThatShareANameShareNoCredential(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		other, again := fake.Shop, fake.Shop
		other.Namespace, other.UID = "bank", "uid-of-bank-web"
		again.UID = "uid-of-the-second-shop-web"

		var all []wire.Answer
		for _, account := range []oidc.ServiceAccount{fake.Shop, other, again} {
			identity, one := n.workload(account)
			kubelet := startKubelet(t, n.podsSample(), one)
			done := kubelet.lookup(n.podsOf(one, n.images(1)...)...)
			n.wantAll(done.Answers, identity.Owner)
			n.wantCalls(asked(identity))
			all = append(all, done.Answers...)
		}
		if different := len(passwords(all)); different != 3 {
			t.Errorf("3 service accounts got %d different passwords", different)
		}
	})
}

// A pod that names no identity has none: the node's is lent to the cluster's own
// pods, and to whom the operator says.
func TestAPodThatNamesNoIdentity(t *testing.T) {
	for _, test := range []struct {
		name      string
		args      []string
		namespace string
		lent      bool
		advised   string
	}{
		{"is refused", nil, "shop", false, "kube-system,shop"},
		{"is the cluster's own", nil, "kube-system", true, ""},
		{"is of a namespace that was named", []string{"--node-fallback=shop"}, "shop", true, ""},
		{"is of another namespace", []string{"--node-fallback=shop"}, "kube-system", false, "shop,kube-system"},
		{"where all are answered as the node", []string{"--node-fallback"}, "shop", true, ""},
		{"where none is", []string{"--node-fallback=none"}, "kube-system", false, "kube-system"},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachCloud(t, func(t *testing.T, n *node) {
				account := serviceAccount(test.namespace, "none")
				kubelet := startKubelet(t, n.podsSample(onlyArgs(slices.Concat(n.Args, test.args)...)), account)

				done := kubelet.lookup(n.podsOf(account, n.images(1)...)...)

				if test.lent {
					n.wantAll(done.Answers, n.Machine.Owner)
					n.wantCalls(asked(n.Machine))
					return
				}
				n.wantAll(done.Answers, "nobody's")
				n.wantCalls()
				n.wantOneFailure(done, test.namespace+"/none", "names no identity to pull with", "--node-fallback="+test.advised)
			})
		})
	}
}

// A pod that names an identity has that one or none, whatever else is allowed.
func TestAPodWhoseIdentityIsRefusedGetsNothing(t *testing.T) {
	eachCloud(t, func(t *testing.T, n *node) {
		own := fake.Shop
		own.Namespace = "kube-system"
		identity, account := n.workload(own)
		service, _, _ := strings.Cut(identity.Calls[0], " ")
		n.Cloud.Faults.Always(service, "", fake.Refuse(403, "AccessDenied", "no"))
		kubelet := startKubelet(t, n.podsSample(withArgs("--node-fallback")), account)

		done := kubelet.lookup(n.podsOf(account, n.images(1)...)...)

		n.wantAll(done.Answers, "nobody's")
		if asked := n.Cloud.Calls.Count(service, ""); asked == 0 || asked != len(n.Cloud.Calls.All()) {
			t.Errorf("asked\n%s", n.Cloud.Calls)
		}
		n.wantOneFailure(done, service, "kube-system/web")
	})
}

// onlyArgs replaces what a sample gives the plugin.
func onlyArgs(args ...string) func(*kubeletconfig.CredentialProvider) {
	return func(provider *kubeletconfig.CredentialProvider) { provider.Args = args }
}
