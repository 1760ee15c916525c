package gcr_test

import (
	"maps"
	"time"

	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/gcp"
	"regcred/e2e/cloud/oidc"
)

const (
	enableAnnotation   = "iam.gke.io/enable-wi-image-pull"
	providerAnnotation = gcp.ProviderAnnotation
	accountAnnotation  = "iam.gke.io/gcp-service-account"

	pullAccount = "pull@example-project.iam.gserviceaccount.com"

	// clusterURL is the cluster in the pool of its project, and gkeAudience
	// whom the kubelet's tokens are for there.
	clusterURL  = "https://container.googleapis.com/v1/projects/example-project/locations/us-central1/clusters/main"
	gkeAudience = "example-project.svc.id.goog"

	// wifProvider is the same cluster as anybody's issuer, and wifAudience
	// whom the kubelet's tokens are for there.
	wifProvider = gcp.PoolProvider
	wifAudience = "https://iam.googleapis.com/" + wifProvider

	principals   = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/"
	wifPrincipal = principals + "clusters/subject/"
)

// Two workloads.
var shop, batch = fake.Shop, fake.Jobs

// gkeArgs let pods of the cluster pull as members of its project's pool.
var gkeArgs = []string{"--identity-provider", clusterURL, "--project-id", "example-project"}

// wifArgs let all pods pull as members of a pool.
var wifArgs = []string{"--workload-identity-provider", wifProvider}

// pod is a pod with a token as the kubelet gets it.
type pod struct {
	oidc.ServiceAccount
	token string
}

// pod makes a pod of a service account in the cluster that the fake trusts in
// both ways.
func (n *node) pod(account oidc.ServiceAccount, audience string, life time.Duration) pod {
	n.T.Helper()
	n.gcp.AddProvider(gcp.Cluster("example-project", "123456789012", clusterURL))
	n.gcp.AddProvider(gcp.WorkloadIdentity("123456789012", "clusters", "main"))
	token, err := n.gcp.Issuer.Token(account, audience, life)
	if err != nil {
		n.T.Fatal(err)
	}
	return pod{account, token}
}

// ownPrincipal is a service account as a member of the pool.
func ownPrincipal(account oidc.ServiceAccount) gcp.Principal {
	return wifPrincipal + gcp.Principal(account.Subject())
}

// question asks for an image in the name of the pod.
func (p pod) question(image string, args ...string) question {
	return question{Image: image, Token: p.token, Args: args}
}

// annotated asks with annotations of the service account, each a name and its
// value.
func (q question) annotated(pairs ...string) question {
	q.Annotations = maps.Clone(q.Annotations)
	if q.Annotations == nil {
		q.Annotations = map[string]string{}
	}
	for i := 0; i < len(pairs); i += 2 {
		q.Annotations[pairs[i]] = pairs[i+1]
	}
	return q
}
