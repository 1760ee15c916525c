package kubelet_test

import (
	"fmt"
	"time"

	"regcred/e2e/cloud/gcp"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/kubelet/wire"
)

// What the sample for pods names.
const (
	gcrProvider          = "projects/123456789012/locations/global/workloadIdentityPools/clusters/providers/prod"
	gcrAudience          = "https://iam.googleapis.com/" + gcrProvider
	gcrAccountAnnotation = "iam.gke.io/gcp-service-account"
)

// What a cluster of GKE has in its project's own pool.
const (
	gkeCluster          = "https://container.googleapis.com/v1/projects/example-project/locations/us-central1/clusters/main"
	gkeAudience         = "example-project.svc.id.goog"
	gkeEnableAnnotation = "iam.gke.io/enable-wi-image-pull"
)

// trustPods makes both kinds of providers.
func (n *gcrNode) trustPods() {
	n.gcp.AddProvider(gcp.WorkloadIdentity("123456789012", "clusters", "prod"))
	n.gcp.AddProvider(gcp.Cluster("example-project", "123456789012", gkeCluster))
}

// gcrAccount is a service account, with annotations given as name and value in
// turn.
func gcrAccount(namespace, name string, annotations ...string) wire.ServiceAccount {
	account := wire.ServiceAccount{Namespace: namespace, Name: name, UID: "uid-of-" + namespace + "-" + name, Annotations: map[string]string{}}
	for i := 0; i < len(annotations); i += 2 {
		account.Annotations[annotations[i]] = annotations[i+1]
	}
	return account
}

// gcrPrincipal is a service account as a member of the sample's pool.
func gcrPrincipal(account wire.ServiceAccount) gcp.Principal {
	return gcp.Principal("principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/clusters/subject/system:serviceaccount:" +
		account.Namespace + ":" + account.Name)
}

// podsOf are lookups of the images, each for a pod of the service account with
// a token of its own, for an audience.
func (n *gcrNode) podsOf(account wire.ServiceAccount, audience string, images ...string) []wire.Lookup {
	n.t.Helper()
	lookups := make([]wire.Lookup, len(images))
	for i, image := range images {
		pod := wire.Pod{
			Namespace:      account.Namespace,
			Name:           fmt.Sprintf("%s-%d", account.Name, i),
			UID:            fmt.Sprintf("uid-of-%s-%s-%d", account.Namespace, account.Name, i),
			ServiceAccount: account.Name,
		}
		token, err := n.gcp.Issuer.Token(oidc.ServiceAccount{
			Namespace: account.Namespace, Name: account.Name, UID: account.UID,
			Pod: pod.Name, PodUID: pod.UID,
			Node: "node1", NodeUID: "uid-of-node1",
		}, audience, time.Hour)
		if err != nil {
			n.t.Fatal(err)
		}
		pod.Tokens = map[string]string{audience: token}
		lookups[i] = wire.Lookup{Image: image, Pod: pod}
	}
	return lookups
}
