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
	node := bootAzure(t)
	images := node.images(1)
	before := startKubelet(t, node.nodeSample())
	node.wantAll(before.pull(images...).Answers, azure.NodeIdentity.ClientID)
	node.azure.AddRegistry(azure.Registry{Hosts: []string{node.Registry(0)}, ABAC: true, Roles: []azure.Role{{
		Name: azure.RepositoryReader, Principal: azure.Principal{Tenant: azure.HomeTenant, ClientID: azure.NodeIdentity.ClientID},
	}}})
	wantUseless := func(when string, k *kubelet) {
		t.Helper()
		if got := node.whose(k.pull(images...).Answers[0]); !strings.HasPrefix(got, "useless: ") {
			t.Errorf("%s: %s, want a useless token", when, got)
		}
	}
	wantUseless("after the switch", before)
	wantUseless("with another kubelet", startKubelet(t, node.nodeSample()))

	if err := os.RemoveAll(cloudtest.CacheDir); err != nil {
		t.Fatal(err)
	}
	wantUseless("with the kubelet of before", before)
	node.wantAll(startKubelet(t, node.nodeSample()).pull(images...).Answers, azure.NodeIdentity.ClientID)
}
