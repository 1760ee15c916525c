package gcr_test

import (
	"testing"

	"regcred/e2e/cloud/gcp"
)

// The kubelet looks a credential up by the host as the image writes it, so
// that, to the letter, is the answer's one key.
func TestEveryRegistryOfGooglesIsAnsweredUnderItsOwnName(t *testing.T) {
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
	n.wantCalls(askMetadata)
}

// Projects of a domain have it in their paths, and repositories may be called
// as registries are.
func TestOnlyTheHostOfAnImageCounts(t *testing.T) {
	for image, key := range map[string]string{
		"gcr.io/example.com/project/app":                     "gcr.io",
		"us-docker.pkg.dev/example.com/project/repo/app":     registry,
		"us-docker.pkg.dev/project/gcr.io/app":               registry,
		"us-docker.pkg.dev/project/repo/evil.com/app:v1":     registry,
		"us-docker.pkg.dev:443/project/repo/app:v1":          registry + ":443",
		"evil.com/gcr.io/project/app":                        "",
		"registry.example.com/us-docker.pkg.dev/project/r/a": "",
	} {
		t.Run(image, func(t *testing.T) {
			n := bootNode(t)
			a := n.ask(question{Image: image})
			if key == "" {
				a.wantNothing()
				n.wantCalls()
				return
			}
			a.wantCredential(key, gcp.Account(nodeAccount))
			n.wantCalls(askMetadata)
		})
	}
}

// A mirror or a vanity name that the operator vouches for.
func TestAnAliasIsAnsweredWithItsRegistrysToken(t *testing.T) {
	n := bootNode(t)
	q := question{Image: "images.example.com:8443/project/app", Args: []string{"--alias", "images.example.com:8443=" + registry}}
	n.ask(q).wantCredential("images.example.com:8443", gcp.Account(nodeAccount))
	n.wantCalls(askMetadata)
}
