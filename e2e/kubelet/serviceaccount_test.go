package kubelet_test

import (
	"fmt"
	"testing"
	"time"

	"regcred/e2e/cloud/oidc"
	"regcred/e2e/kubelet/wire"
)

// serviceAccount is a service account, with annotations given as name and value
// in turn.
func serviceAccount(namespace, name string, annotations ...string) wire.ServiceAccount {
	account := wire.ServiceAccount{Namespace: namespace, Name: name, UID: "uid-of-" + namespace + "-" + name, Annotations: map[string]string{}}
	for i := 0; i < len(annotations); i += 2 {
		account.Annotations[annotations[i]] = annotations[i+1]
	}
	return account
}

// podsOf are lookups of the images, each for a pod of the service account with
// a token of its own, that an issuer signs for an audience.
func podsOf(t *testing.T, issuer *oidc.Issuer, account wire.ServiceAccount, audience string, images ...string) []wire.Lookup {
	t.Helper()
	lookups := make([]wire.Lookup, len(images))
	for i, image := range images {
		pod := wire.Pod{
			Namespace:      account.Namespace,
			Name:           fmt.Sprintf("%s-%d", account.Name, i),
			UID:            fmt.Sprintf("uid-of-%s-%s-%d", account.Namespace, account.Name, i),
			ServiceAccount: account.Name,
		}
		token, err := issuer.Token(oidc.ServiceAccount{
			Namespace: account.Namespace, Name: account.Name, UID: account.UID,
			Pod: pod.Name, PodUID: pod.UID,
			Node: "node1", NodeUID: "uid-of-node1",
		}, audience, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		pod.Tokens = map[string]string{audience: token}
		lookups[i] = wire.Lookup{Image: image, Pod: pod}
	}
	return lookups
}
