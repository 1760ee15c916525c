package kubelet_test

import (
	"regcred/e2e/cloud/gcp"
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

// gcrPrincipal is a service account as a member of the sample's pool.
func gcrPrincipal(account wire.ServiceAccount) gcp.Principal {
	return gcp.Principal("principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/clusters/subject/system:serviceaccount:" +
		account.Namespace + ":" + account.Name)
}

// podsOf are lookups of the images, each for a pod of the service account with
// a token of its own, for an audience.
func (n *gcrNode) podsOf(account wire.ServiceAccount, audience string, images ...string) []wire.Lookup {
	n.t.Helper()
	return podsOf(n.t, n.gcp.Issuer, account, audience, images...)
}
