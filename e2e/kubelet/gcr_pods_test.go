package kubelet_test

import (
	"slices"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud/gcp"
	"regcred/e2e/kubelet/wire"
)

func TestAPodGetsTheTokenOfItsOwnPrincipal(t *testing.T) {
	node := bootGCRNode(t)
	node.trustPods()
	web := serviceAccount("shop", "web")
	kubelet := startKubelet(t, gcrPodsSample, web)

	done := kubelet.lookup(node.podsOf(web, gcrAudience, gcrImages(1)...)...)

	node.wantAll(done.Answers, gcrPrincipal(web))
	node.wantCalls(calls{"sts ExchangeToken": 1})
	for _, credential := range done.Answers[0].Credentials {
		if credential.ServiceAccount != "shop/web" {
			t.Errorf("kubelet ties the credential to %q, want shop/web", credential.ServiceAccount)
		}
	}
}

func TestAPodGetsTheTokenOfTheGoogleServiceAccountItNames(t *testing.T) {
	const pull = "pull@example-project.iam.gserviceaccount.com"
	node := bootGCRNode(t)
	node.trustPods()
	web, batch := serviceAccount("shop", "web", gcrAccountAnnotation, pull), serviceAccount("shop", "batch", gcrAccountAnnotation, pull)
	node.gcp.AddServiceAccount(gcp.ServiceAccount{Email: pull, Impersonators: []gcp.Principal{gcrPrincipal(web)}})
	kubelet := startKubelet(t, gcrPodsSample, web, batch)

	done := kubelet.lookup(slices.Concat(
		node.podsOf(web, gcrAudience, gcrImages(3)...),
		node.podsOf(batch, gcrAudience, gcrImages(1)...),
	)...)

	node.wantAll(done.Answers[:3], gcp.Account(pull))
	node.wantAll(done.Answers[3:], "nobody's")
	node.wantCalls(calls{"sts ExchangeToken": 2, "iamcredentials GenerateAccessToken": 2})
}

// The plugin that GKE's nodes have takes the same flags and annotation.
func TestAPodOfAClusterOfGKE(t *testing.T) {
	node := bootGCRNode(t)
	node.trustPods()
	web, other := serviceAccount("shop", "web", gkeEnableAnnotation, "true"), serviceAccount("shop", "other")
	config := changed(t, gcrPodsSample, func(provider *kubeletconfig.CredentialProvider) {
		provider.Args = []string{"get-credentials", "--v=3", "--identity-provider=" + gkeCluster, "--project-id=example-project"}
		provider.TokenAttributes.ServiceAccountTokenAudience = gkeAudience
		provider.TokenAttributes.OptionalServiceAccountAnnotationKeys = []string{gkeEnableAnnotation}
	})
	kubelet := startKubelet(t, config, web, other)

	done := kubelet.lookup(slices.Concat(
		node.podsOf(web, gkeAudience, gcrImages(1)...),
		node.podsOf(other, gkeAudience, gcrImages(1)...),
	)...)

	node.wantAll(done.Answers[:1], "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/example-project.svc.id.goog/subject/ns/shop/sa/web")
	node.wantAll(done.Answers[1:], "nobody's")
	node.wantCalls(calls{"sts ExchangeToken": 1})
}

// Every pod's token is another one, and still STS is asked once for each
// service account. Static pods have none and are answered as the node.
func TestPodsAtOnceGetEachTheirOwnToken(t *testing.T) {
	const each = 15
	node := bootGCRNode(t)
	node.trustPods()
	node.slowDown("sts")
	node.slowDown("metadata")
	web, batch := serviceAccount("shop", "web"), serviceAccount("bank", "web")
	kubelet := startKubelet(t, gcrPodsSample, web, batch)

	done := kubelet.lookup(slices.Concat(
		node.podsOf(web, gcrAudience, gcrImages(each)...),
		node.podsOf(batch, gcrAudience, gcrImages(each)...),
		staticPods(gcrImages(each)...),
	)...)

	if runs := done.PluginRuns[gcrPlugin]; runs != 3*each {
		t.Fatalf("kubelet ran the plugin %d times, want %d", runs, 3*each)
	}
	node.wantAll(done.Answers[:each], gcrPrincipal(web))
	node.wantAll(done.Answers[each:2*each], gcrPrincipal(batch))
	node.wantAll(done.Answers[2*each:], gcp.Account(gcrNodeAccount))
	want := calls{"sts ExchangeToken": 2}
	for operation, count := range askGCRNode {
		want[operation] = count
	}
	node.wantCalls(want)
}

// A pod has its own identity or none: the node's is not lent.
func TestAPodThatGoogleRefusesGetsNothing(t *testing.T) {
	tests := []struct {
		name    string
		account wire.ServiceAccount
		trust   bool
		calls   calls
		says    []string
	}{
		{"the provider does not exist", serviceAccount("shop", "web"), false, calls{"sts ExchangeToken": 1},
			[]string{"sts", "invalid_target", "shop/web", gcrProvider}},
		{"the Google service account may not be impersonated", serviceAccount("shop", "web", gcrAccountAnnotation, gcrNodeAccount), true,
			calls{"sts ExchangeToken": 1, "iamcredentials GenerateAccessToken": 1},
			[]string{"iamcredentials", "PERMISSION_DENIED", "shop/web", gcrNodeAccount, "roles/iam.workloadIdentityUser"}},
		{"the annotation is no account", serviceAccount("shop", "web", gcrAccountAnnotation, "pull"), true, calls{},
			[]string{"shop/web", gcrAccountAnnotation}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootGCRNode(t)
			if test.trust {
				node.trustPods()
			}
			kubelet := startKubelet(t, gcrPodsSample, test.account)

			done := kubelet.lookup(node.podsOf(test.account, gcrAudience, gcrImages(1)...)...)

			node.wantAll(done.Answers, "nobody's")
			node.wantCalls(test.calls)
			failed := failures(done)
			if len(failed) != 1 || done.PluginErrors[gcrPlugin] != 1 {
				t.Fatalf("kubelet counted %d errors and logged %q, want one failure", done.PluginErrors[gcrPlugin], failed)
			}
			wantLine(t, said(t, failed[0]), test.says...)
		})
	}
}
