package gcr_test

import (
	"testing"

	"regcred/e2e/cloud/gcp"
)

// The kubelet looks a credential up by the host as the image writes it, so
// that, to the letter, is the answer's one key.
func TestEveryRegistryOfGooglesIsAnsweredUnderItsOwnName(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	for _, host := range []string{
		"gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io", "marketplace.gcr.io", "k8s.gcr.io", "mirror.gcr.io",
		"us-docker.pkg.dev", "us-central1-docker.pkg.dev", "northamerica-northeast1-docker.pkg.dev", "europe-west12-docker.pkg.dev",
		"docker.us-central1.rep.pkg.dev", "docker.me-central2.rep.pkg.dev",
		"container.cloud.google.com",
		"us-docker.pkg.dev:443", "gcr.io:443",
		"US-Docker.PKG.dev", "GCR.io", "US-Docker.PKG.dev:443",
	} {
		t.Run(host, func(t *testing.T) {
			n.in(t).ask(question{Image: host + "/project/repo/app"}).wantCredential(host, gcp.Account(nodeAccount))
		})
	}
	n.WantCalls(askMetadata)
}
