package gcr

import (
	"strings"
	"testing"

	"regcred/shared/image"
)

var (
	googleCloud, _ = findUniverse("googleapis.com")
	berlin, _      = findUniverse("apis-berlin-build0.goog")
	s3ns, _        = findUniverse("s3nsapis.fr")
)

// The grammar of Google's hosts, by example.
var hosts = []struct {
	host     string
	shape    shape
	location string
}{
	{"gcr.io", containerRegistry, ""},
	{"us.gcr.io", containerRegistry, "us"},
	{"eu.gcr.io", containerRegistry, "eu"},
	{"asia.gcr.io", containerRegistry, "asia"},
	{"marketplace.gcr.io", containerRegistry, "marketplace"},
	// Public, and do not mind a token.
	{"k8s.gcr.io", containerRegistry, "k8s"},
	{"mirror.gcr.io", containerRegistry, "mirror"},
	{"us-docker.pkg.dev", artifactRegistry, "us"},
	{"europe-docker.pkg.dev", artifactRegistry, "europe"},
	{"us-central1-docker.pkg.dev", artifactRegistry, "us-central1"},
	{"northamerica-northeast1-docker.pkg.dev", artifactRegistry, "northamerica-northeast1"},
	{"europe-west12-docker.pkg.dev", artifactRegistry, "europe-west12"},
	{"docker.us-central1.rep.pkg.dev", regionalEndpoint, "us-central1"},
	{"docker.me-central2.rep.pkg.dev", regionalEndpoint, "me-central2"},
	{"container.cloud.google.com", firstName, ""},
	// The port is compared literally by the kubelet and kept in the answer.
	{"us-docker.pkg.dev:443", artifactRegistry, "us"},
	{"US-Docker.PKG.dev", artifactRegistry, "us"},
}

// Hosts of other universes, by the universe that has to be configured.
var universeHosts = map[string]universe{
	"docker.pkg-berlin-build0.goog":                          berlin,
	"u-germany-northeast1-docker.pkg-berlin-build0.goog":     berlin,
	"docker.u-germany-northeast1.rep.pkg-berlin-build0.goog": berlin,
	"docker.s3nsregistry.fr":                                 s3ns,
	"u-france-east1-docker.s3nsregistry.fr":                  s3ns,
	"docker.s3nsregistry.fr:443":                             s3ns,
}

var foreignHosts = []string{
	"gcr.io:5000", "us-docker.pkg.dev:80",
	// Google's, but no registries of images.
	"us-maven.pkg.dev", "docker.pkg.dev", "pkg.dev", "foo.pkg.dev", "us-central1.rep.pkg.dev", "docker.rep.pkg.dev", "maven.us-central1.rep.pkg.dev",
	"a.docker.us-central1.rep.pkg.dev", "docker.a.us-central1.rep.pkg.dev", "a.b.gcr.io", "foo.google.com", "cloud.google.com", "x.container.cloud.google.com",
	"us--docker.pkg.dev", "us.a-docker.pkg.dev", "docker.us--central1.rep.pkg.dev",
	// Look-alikes.
	"gcr.io.evil.com", "evilgcr.io", "evil-gcr.io", "gcr.io-evil.com", "gcr.evil.io",
	"evil-pkg.dev", "us-docker.evil-pkg.dev", "us-docker.pkg.dev.evil.com", "us-docker-pkg.dev", "us-docker.pkgdev", "us-docker.pkg.dev-evil.com",
	"docker.us-central1.rep.pkg.dev.evil.com", "docker.us-central1.rep.evil-pkg.dev", "docker-us-central1.rep.pkg.dev",
	"container.cloud.google.com.evil.com", "container-cloud.google.com",
	// Of no universe.
	"docker.evil.goog", "docker.s3nsregistry.fr.evil.com", "docker.evils3nsregistry.fr", "s3nsregistry.fr", "pkg-berlin-build0.goog",
	// Others'.
	"registry.k8s.io", "docker.io", "ghcr.io", "quay.io", "evil.com", "localhost:5000", "169.254.169.254", "[::1]",
}

func mustParseRegistry(t testing.TB, host string) image.Registry {
	t.Helper()
	r, err := image.ParseRegistry(host)
	if err != nil {
		t.Fatalf("%s: %v", host, err)
	}
	return r
}

func TestHosts(t *testing.T) {
	for _, tc := range hosts {
		got, ok := parseRegistry(mustParseRegistry(t, tc.host), googleCloud)
		if want := (registry{tc.shape, tc.location, googleCloud}); !ok || got != want {
			t.Errorf("%s: got %+v, %t", tc.host, got, ok)
		}
		for _, other := range universes[1:] {
			if got, ok := parseRegistry(mustParseRegistry(t, tc.host), other); ok {
				t.Errorf("%s in %s: got %+v", tc.host, other.domain, got)
			}
		}
	}
}

func TestHostsOfAUniverseAreItsOwn(t *testing.T) {
	for host, own := range universeHosts {
		for _, u := range universes {
			if got, ok := parseRegistry(mustParseRegistry(t, host), u); ok != (u == own) {
				t.Errorf("%s in %s: got %+v, %t", host, u.domain, got, ok)
			}
		}
	}
}

func TestForeignHosts(t *testing.T) {
	for _, host := range foreignHosts {
		for _, u := range universes {
			if got, ok := parseRegistry(mustParseRegistry(t, host), u); ok && host != "docker."+u.registries {
				t.Errorf("%s in %s: got %+v", host, u.domain, got)
			}
		}
	}
	// These are not even the names of registries.
	for _, ref := range []string{"-docker.pkg.dev/x", "us-docker.pkg.dev./x", "us-docker.pkg.dev@evil.com/x", "ɡcr.io/x", "https://gcr.io/x"} {
		if got, err := image.Parse(ref); err == nil {
			t.Errorf("%s: got %+v", ref, got)
		}
	}
	// And these are Docker Hub's.
	for _, ref := range []string{"nginx", "library/nginx", "gcr/io"} {
		got, err := image.Parse(ref)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := parseRegistry(got.Registry, googleCloud); ok {
			t.Errorf("%s: got %+v", ref, got)
		}
	}
}

// FuzzParseRegistry holds the grammar from the other side: a host that is
// accepted can be put together again from its parts.
func FuzzParseRegistry(f *testing.F) {
	for i := range universes {
		for _, tc := range hosts {
			f.Add(tc.host, i)
		}
		for host := range universeHosts {
			f.Add(host, i)
		}
		for _, host := range foreignHosts {
			f.Add(host, i)
		}
	}
	f.Fuzz(func(t *testing.T, host string, which int) {
		r, err := image.ParseRegistry(host)
		if err != nil || which < 0 || which >= len(universes) {
			return
		}
		u := universes[which]
		got, ok := parseRegistry(r, u)
		if !ok {
			return
		}
		if !r.DefaultPort() {
			t.Errorf("%s: port %s", host, r.Port())
		}
		if strings.Contains(got.location, ".") {
			t.Errorf("%s: location %s", host, got.location)
		}
		var whole string
		switch got.shape {
		case firstName:
			whole = "container.cloud.google.com"
		case containerRegistry:
			whole = strings.TrimPrefix(got.location+".gcr.io", ".")
		case artifactRegistry:
			whole = strings.TrimPrefix(got.location+"-docker."+u.registries, "-")
		case regionalEndpoint:
			whole = "docker." + got.location + ".rep." + u.registries
		}
		if r.Host() != whole {
			t.Errorf("%s was read as %+v, which is %s", host, got, whole)
		}
		if !u.google() && (got.shape == firstName || got.shape == containerRegistry) {
			t.Errorf("%s is Google's, not of %s", host, u.domain)
		}
		if got.location == "" && got.shape == artifactRegistry && u.google() {
			t.Errorf("%s has no location", host)
		}
	})
}
