package gcr_test

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
