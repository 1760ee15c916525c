package kubelet_test

import (
	"os"
	"strings"
	"testing"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// Permissions by repository make a registry's earlier tokens useless. Kubelet
// and the plugin each remember one, so forgetting takes both.
func TestAfterTheSwitchToPermissionsByRepositoryBothForget(t *testing.T) {
	node := bootACRNode(t)
	images := acrImages(1)
	before := startKubelet(t, acrNodeSample)
	node.wantAll(images, before.pull(images...).Answers, acrNodeIdentity.ClientID)
	node.azure.AddRegistry(azure.Registry{Hosts: []string{acrRegistry}, ABAC: true, Roles: []azure.Role{{
		Name: azure.RepositoryReader, Principal: azure.Principal{Tenant: azure.HomeTenant, ClientID: acrNodeIdentity.ClientID},
	}}})
	wantUseless := func(when string, k *kubelet) {
		t.Helper()
		if got := node.whose(images[0], k.pull(images...).Answers[0]); !strings.HasPrefix(got, "useless: ") {
			t.Errorf("%s: %s, want a useless token", when, got)
		}
	}
	wantUseless("after the switch", before)
	wantUseless("with another kubelet", startKubelet(t, acrNodeSample))

	if err := os.RemoveAll(cloudtest.CacheDir); err != nil {
		t.Fatal(err)
	}
	wantUseless("with the kubelet of before", before)
	node.wantAll(images, startKubelet(t, acrNodeSample).pull(images...).Answers, acrNodeIdentity.ClientID)
}
