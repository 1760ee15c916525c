package kubelet_test

import (
	"slices"
	"testing"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/kubelet/wire"
)

func TestAPodPullsAsTheAppOfItsServiceAccount(t *testing.T) {
	node := bootACRNode(t)
	web := serviceAccount("shop", "web", acrClientAnnotation, acrAppID, acrTenantAnnotation, azure.HomeTenant)
	node.trustPods(web)
	node.serve(acrRegistry, acrNodeIdentity.ClientID, acrAppID)
	kubelet := startKubelet(t, acrPodsSample, web)
	images := acrImages(1)

	done := kubelet.lookup(node.podsOf(web, acrAudience, images...)...)

	node.wantAll(images, done.Answers, acrAppID)
	node.wantCalls(calls{"entra GrantToken": 1, "acr Exchange": 1})
	for _, credential := range done.Answers[0].Credentials {
		if credential.ServiceAccount != "shop/web" {
			t.Errorf("kubelet ties the credential to %q, want shop/web", credential.ServiceAccount)
		}
	}
}

// Every pod's token is another one, and still Entra is asked once for each
// service account, though both name the same app. Static pods have none and are
// answered as the node.
func TestPodsAtOncePullEachAsTheirOwnServiceAccount(t *testing.T) {
	const each = 15
	node := bootACRNode(t)
	annotations := []string{acrClientAnnotation, acrAppID, acrTenantAnnotation, azure.HomeTenant}
	web, batch := serviceAccount("shop", "web", annotations...), serviceAccount("bank", "web", annotations...)
	node.trustPods(web, batch)
	node.serve(acrRegistry, acrNodeIdentity.ClientID, acrAppID)
	for _, service := range []string{"entra", "imds", "acr"} {
		node.slowDown(service)
	}
	kubelet := startKubelet(t, acrPodsSample, web, batch)
	images := acrImages(each)

	done := kubelet.lookup(slices.Concat(
		node.podsOf(web, acrAudience, images...),
		node.podsOf(batch, acrAudience, images...),
		staticPods(images...),
	)...)

	if runs := done.PluginRuns[acrPlugin]; runs != 3*each {
		t.Fatalf("kubelet ran the plugin %d times, want %d", runs, 3*each)
	}
	node.wantAll(images, done.Answers[:each], acrAppID)
	node.wantAll(images, done.Answers[each:2*each], acrAppID)
	node.wantAll(images, done.Answers[2*each:], acrNodeIdentity.ClientID)
	for name, answers := range map[string][]wire.Answer{"shop/web": done.Answers[:each], "bank/web": done.Answers[each : 2*each]} {
		if different := len(passwords(answers)); different != 1 {
			t.Errorf("%s has %d different tokens", name, different)
		}
	}
	if different := len(passwords(done.Answers)); different != 3 {
		t.Errorf("%d different tokens, want one for each of three", different)
	}
	node.wantCalls(calls{"entra GrantToken": 2, "imds GetToken": 1, "acr Exchange": 3})
}

// A pod has its own identity or none: the node's is not lent.
func TestAPodThatAzureRefusesGetsNothing(t *testing.T) {
	annotated := []string{acrClientAnnotation, acrAppID, acrTenantAnnotation, azure.HomeTenant}
	for _, test := range []struct {
		name    string
		account wire.ServiceAccount
		trusted bool
		calls   calls
		says    []string
	}{
		{"no federated credential", serviceAccount("shop", "web", annotated...), false, calls{"entra GrantToken": 1},
			[]string{"entra", "AADSTS700211", "shop/web", acrAppID, "system:serviceaccount:shop:web"}},
		{"no role", serviceAccount("shop", "web", annotated...), true, calls{"entra GrantToken": 1, "acr Exchange": 1},
			[]string{"exchange", "401", "shop/web", acrAppID, "AcrPull", "Container Registry Repository Reader"}},
		{"no annotations", serviceAccount("shop", "web"), true, calls{}, []string{"shop/web", acrClientAnnotation}},
		{"an annotation that is no id", serviceAccount("shop", "web", acrClientAnnotation, "pull"), true, calls{}, []string{"shop/web", acrClientAnnotation}},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := bootACRNode(t)
			node.trustPods()
			if test.trusted {
				node.trustPods(test.account)
			}
			kubelet := startKubelet(t, acrPodsSample, test.account)
			images := acrImages(1)

			done := kubelet.lookup(node.podsOf(test.account, acrAudience, images...)...)

			node.wantAll(images, done.Answers, "nobody's")
			node.wantCalls(test.calls)
			failed := failures(done)
			if len(failed) != 1 || done.PluginErrors[acrPlugin] != 1 {
				t.Fatalf("kubelet counted %d errors and logged %q, want one failure", done.PluginErrors[acrPlugin], failed)
			}
			wantLine(t, said(t, failed[0]), test.says...)
		})
	}
}
