package kubelet_test

import (
	"slices"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud/gcp"
	"regcred/e2e/kubelet/wire"
)

const gcpAccountAnnotation = "iam.gke.io/gcp-service-account"

// What a cluster of GKE has in its project's own pool.
const (
	gkeCluster          = "https://container.googleapis.com/v1/projects/example-project/locations/us-central1/clusters/main"
	gkeAudience         = "example-project.svc.id.goog"
	gkeEnableAnnotation = "iam.gke.io/enable-wi-image-pull"
)

// ofPool lets the booted node's provider vouch for all pods.
func ofPool(provider *kubeletconfig.CredentialProvider) {
	provider.Args = []string{"--workload-identity-provider=" + gcp.PoolProvider}
}

// gcpPrincipal is a service account as a member of the booted node's pool.
func gcpPrincipal(account wire.ServiceAccount) gcp.Principal {
	return gcp.Principal("principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/clusters/subject/system:serviceaccount:" +
		account.Namespace + ":" + account.Name)
}

func TestAPodGetsTheTokenOfTheGoogleServiceAccountItNames(t *testing.T) {
	const pull = "pull@example-project.iam.gserviceaccount.com"
	node := bootGCP(t)
	web, batch := serviceAccount("shop", "web", gcpAccountAnnotation, pull), serviceAccount("shop", "batch", gcpAccountAnnotation, pull)
	node.gcp.AddServiceAccount(gcp.ServiceAccount{Email: pull, Impersonators: []gcp.Principal{gcpPrincipal(web)}})
	kubelet := startKubelet(t, node.podsSample(ofPool), web, batch)

	done := kubelet.lookup(slices.Concat(
		node.podsOf(web, node.images(3)...),
		node.podsOf(batch, node.images(1)...),
	)...)

	node.wantAll(done.Answers[:3], string(gcp.Account(pull)))
	node.wantAll(done.Answers[3:], "nobody's")
	node.wantCalls(calls{"sts ExchangeToken": 2, "iamcredentials GenerateAccessToken": 2})
}

// The plugin that GKE's nodes have takes the same flags and annotation.
func TestAPodOfAClusterOfGKE(t *testing.T) {
	node := bootGCP(t)
	node.gcp.AddProvider(gcp.Cluster("example-project", "123456789012", gkeCluster))
	web, other := serviceAccount("shop", "web", gkeEnableAnnotation, "true"), serviceAccount("shop", "other")
	config := node.podsSample(func(provider *kubeletconfig.CredentialProvider) {
		provider.Args = []string{"get-credentials", "--v=3", "--identity-provider=" + gkeCluster, "--project-id=example-project"}
		provider.TokenAttributes.ServiceAccountTokenAudience = gkeAudience
		provider.TokenAttributes.OptionalServiceAccountAnnotationKeys = []string{gkeEnableAnnotation}
	})
	kubelet := startKubelet(t, config, web, other)

	done := kubelet.lookup(slices.Concat(
		node.podsFor(web, gkeAudience, node.images(1)...),
		node.podsFor(other, gkeAudience, node.images(1)...),
	)...)

	node.wantAll(done.Answers[:1], "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/example-project.svc.id.goog/subject/ns/shop/sa/web")
	node.wantAll(done.Answers[1:], "nobody's")
	node.wantCalls(calls{"sts ExchangeToken": 1})
}

// A pod has its own identity or none: the node's is not lent.
func TestAPodThatGoogleRefusesGetsNothing(t *testing.T) {
	tests := []struct {
		name    string
		account wire.ServiceAccount
		known   bool
		calls   calls
		says    []string
	}{
		{"the provider does not exist", serviceAccount("shop", "web"), false, calls{"sts ExchangeToken": 1},
			[]string{"sts", "invalid_target", "shop/web", "providers/absent"}},
		{"the Google service account may not be impersonated", serviceAccount("shop", "web", gcpAccountAnnotation, gcp.NodeAccount), true,
			calls{"sts ExchangeToken": 1, "iamcredentials GenerateAccessToken": 1},
			[]string{"iamcredentials", "PERMISSION_DENIED", "shop/web", gcp.NodeAccount, "roles/iam.workloadIdentityUser"}},
		{"the annotation is no account", serviceAccount("shop", "web", gcpAccountAnnotation, "pull"), true, calls{},
			[]string{"shop/web", gcpAccountAnnotation}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootGCP(t)
			config := node.podsSample(ofPool)
			if !test.known {
				config = node.podsSample(onlyArgs("--workload-identity-provider=projects/123456789012/locations/global/workloadIdentityPools/clusters/providers/absent"))
			}
			kubelet := startKubelet(t, config, test.account)

			done := kubelet.lookup(node.podsOf(test.account, node.images(1)...)...)

			node.wantAll(done.Answers, "nobody's")
			node.wantCalls(test.calls)
			node.wantOneFailure(done, test.says...)
		})
	}
}

// In the dockercfg flow there is an answer for every image, and one document
// for all of them.
func TestADockerConfigurationIsReadOnceForAllImages(t *testing.T) {
	const count = 40
	node := bootGCP(t)
	node.slowDown()
	node.gcp.Configure(func(s *gcp.Settings) {
		s.Metadata.Attributes = map[string]string{"google-dockercfg": `{"https://us-docker.pkg.dev":{"username":"user","password":"pass"}}`}
	})
	kubelet := startKubelet(t, node.nodeSample(onlyArgs("get-credentials", "--authFlow=dockercfg")))

	done := kubelet.pull(node.images(count)...)

	for i, answer := range done.Answers {
		if len(answer.Credentials) != 1 || answer.Credentials[0].Username != "user" || answer.Credentials[0].Password != "pass" {
			t.Errorf("answer %d has %d credentials, want the document's", i+1, len(answer.Credentials))
		}
	}
	node.wantCalls(calls{"metadata GetAttribute": 1})
}
