package gcr_test

import (
	"testing"
	"time"
)

// notGoogles are hosts of others, many of them made to be taken for Google's.
var notGoogles = []string{
	"registry.k8s.io", "docker.io", "ghcr.io", "quay.io", "public.ecr.aws", "example.azurecr.io", "icr.io",
	"localhost:5000", "169.254.169.254", "metadata.google.internal",

	// Google's, but no registry of images.
	"pkg.dev", "docker.pkg.dev", "us-maven.pkg.dev", "us-central1.rep.pkg.dev", "docker.rep.pkg.dev", "maven.us-central1.rep.pkg.dev",
	"foo.google.com", "cloud.google.com", "us.container.cloud.google.com", "storage.googleapis.com", "goog",
	// Not at the port of one.
	"gcr.io:5000", "us-docker.pkg.dev:80", "us-docker.pkg.dev:8443",
	// Of a depth that there is not.
	"a.b.gcr.io", "evil.us-docker.pkg.dev", "a.b-docker.pkg.dev", "docker.a.b.rep.pkg.dev", "evil.docker.us-central1.rep.pkg.dev",

	"gcr.io.evil.com", "evilgcr.io", "evil-gcr.io", "gcr.io-evil.com", "gcr.iox", "gcr-io.com",
	"evil-pkg.dev", "us-docker.evil-pkg.dev", "us-docker.pkg.dev.evil.com", "us-docker-pkg.dev", "us-docker.pkg.devil.com",
	"us-dockerpkg.dev", "us--docker.pkg.dev", "docker.us-central1.rep.pkg.dev.evil.com", "docker.us-central1.rep.evil-pkg.dev",
	"container.cloud.google.com.evil.com", "evil-container.cloud.google.com",

	// Other universes, of other operators.
	"docker.pkg-berlin-build0.goog", "u-germany-northeast1-docker.pkg-berlin-build0.goog", "docker.pkg-tpczero.goog", "docker.pkg-tpcone.goog",
	"docker.s3nsregistry.fr", "docker.qs3nsregistry.fr", "docker.evil.goog", "docker.s3nsregistry.fr.evil.com",
}

// The plugin of kubernetes/cloud-provider-gcp answers every one of them with
// the node's token: there, only the kubelet's matchImages stands in between.
func TestWhatIsNotGooglesGetsNothingAndCausesNoCall(t *testing.T) {
	n := bootNode(t)
	for _, host := range append(notGoogles, "nginx", "library/nginx") {
		t.Run(host, func(t *testing.T) {
			n := n.in(t)
			n.ask(question{Image: host + "/app"}).wantNothing()
			n.wantCalls()
		})
	}
}

// A pod's token goes to no one else's registry either, whatever its service
// account's annotations say.
func TestWhatIsNotGooglesGetsNoPodsTokenEither(t *testing.T) {
	n := bootNode(t)
	p := n.pod(shop, wifAudience, time.Hour)
	for _, host := range []string{"us-docker.pkg.dev.evil.com", "gcr.io:5000", "docker.s3nsregistry.fr", "registry.k8s.io"} {
		q := p.question(host+"/app").annotated(providerAnnotation, wifProvider, accountAnnotation, pullAccount)
		n.ask(q).wantNothing()
	}
	n.wantCalls()
}

// What no container runtime can pull is no question of Google's.
func TestWhatIsNoReferenceIsRefusedWithoutACall(t *testing.T) {
	n := bootNode(t)
	for _, image := range []string{
		"us-docker.pkg.dev./p/r/app", "-docker.pkg.dev/p/r/app", "us-docker.pkg.dev@evil.com/p/r/app",
		"ɡcr.io/p/app", "us-docker.pkg.dev%2eevil.com/p/r/app", "us-docker.pkg.dev/P/R/app", "https://us-docker.pkg.dev/p/r/app",
	} {
		t.Run(image, func(t *testing.T) {
			n := n.in(t)
			n.ask(question{Image: image}).wantFailure(1, "image reference")
			n.wantCalls()
		})
	}
}
