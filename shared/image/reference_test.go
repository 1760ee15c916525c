package image_test

import (
	"strings"
	"testing"

	"github.com/distribution/reference"

	"regcred/shared/image"
)

var references = []struct {
	ref                               string
	registry, repository, tag, digest string
}{
	{"busybox", "docker.io", "library/busybox", "", ""},
	{"docker.io/busybox", "docker.io", "library/busybox", "", ""},
	{"index.docker.io/busybox:1", "docker.io", "library/busybox", "1", ""},
	{"foo/bar", "docker.io", "foo/bar", "", ""},
	{"myhost/foo", "docker.io", "myhost/foo", "", ""},
	{"localhost/foo", "localhost", "foo", "", ""},
	{"myhost:5000/foo", "myhost:5000", "foo", "", ""},
	{"registry-1.docker.io/x/y", "registry-1.docker.io", "x/y", "", ""},
	{"GCR.io/p/i", "GCR.io", "p/i", "", ""},
	{"[2001:db8::1]:5000/a", "[2001:db8::1]:5000", "a", "", ""},
	{"[2001:db8::1]/a", "[2001:db8::1]", "a", "", ""},
	{"r.example.com/a__b/c--d/e.f:v1.2-x", "r.example.com", "a__b/c--d/e.f", "v1.2-x", ""},
	{"r.example.com:443/public.ecr.aws/x:1@sha256:" + strings.Repeat("ab", 32), "r.example.com:443", "public.ecr.aws/x", "1", "sha256:" + strings.Repeat("ab", 32)},
	{"us-docker.pkg.dev/example.com/p/r/i", "us-docker.pkg.dev", "example.com/p/r/i", "", ""},
}

var notReferences = []string{
	"", "/", "a/", "/a", "a//b", "https://gcr.io/a", "gcr.io/P/i", "gcr.io/a b", "gcr.io./a", "gcr..io/a", ".gcr.io/a",
	"-gcr.io/a", "user@gcr.io/a", "gcr.io:/a", "gcr.io:x/a", "gcr.io/a:", "gcr.io/a@", "gcr.io/a@sha256:abc",
	"gcr.io/a@md5:" + strings.Repeat("a", 32), "gcr.io/-a", "gcr.io/a-", "gcr.io/a___b", "gcr.io/a..b", "ɡcr.io/a",
	"gcr.io/a:" + strings.Repeat("t", 129), "gcr.io/" + strings.Repeat("a", 256), strings.Repeat("a", 64),
	"[::1/a", "[::1%eth0]/a", "gcr.io/a\x00", "gcr.io/\u202ea", strings.Repeat("x/", 600) + "y",
}

func TestParse(t *testing.T) {
	for _, tc := range references {
		got, err := image.Parse(tc.ref)
		if err != nil {
			t.Errorf("%s: %v", tc.ref, err)
			continue
		}
		if got.Registry.String() != tc.registry || got.Repository != tc.repository || got.Tag != tc.tag || got.Digest != tc.digest {
			t.Errorf("%s: got %+v", tc.ref, got)
		}
	}
	for _, ref := range notReferences {
		if got, err := image.Parse(ref); err == nil {
			t.Errorf("%q: got %+v", ref, got)
		} else if len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: message %q", ref, err)
		}
	}
}

func TestRegistry(t *testing.T) {
	for _, tc := range []struct {
		written, host, port, canonical string
		defaultPort                    bool
	}{
		{"gcr.io", "gcr.io", "", "gcr.io", true},
		{"US-Docker.PKG.dev:443", "us-docker.pkg.dev", "443", "us-docker.pkg.dev:443", true},
		{"localhost:5000", "localhost", "5000", "localhost:5000", false},
		{"[2001:DB8::1]:443", "[2001:db8::1]", "443", "[2001:db8::1]:443", true},
	} {
		r, err := image.ParseRegistry(tc.written)
		if err != nil || r.String() != tc.written || r.Host() != tc.host || r.Port() != tc.port || r.Canonical() != tc.canonical || r.DefaultPort() != tc.defaultPort {
			t.Errorf("%s: got %q %q %q %q %t, %v", tc.written, r, r.Host(), r.Port(), r.Canonical(), r.DefaultPort(), err)
		}
	}
	for _, s := range []string{"", ":443", "a:0", "a:65536", "a:-1", "a:+1", "a:4 3", "[::1", "::1", "a/b", "a.", "a_b.c", "1.2.3.4:"} {
		if r, err := image.ParseRegistry(s); err == nil {
			t.Errorf("%q: got %q", s, r)
		}
	}
}

// FuzzParse holds the parser to the one that container runtimes use: it
// accepts nothing that the other refuses, and reads the same out of it.
func FuzzParse(f *testing.F) {
	for _, tc := range references {
		f.Add(tc.ref)
	}
	for _, ref := range notReferences {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		got, err := image.Parse(ref)
		want, wantErr := reference.ParseNormalizedNamed(ref)
		if err != nil {
			return
		}
		if wantErr != nil {
			t.Fatalf("%q: accepted as %+v, but %v", ref, got, wantErr)
		}
		if domain := reference.Domain(want); got.Registry.String() != domain || got.Repository != reference.Path(want) {
			t.Errorf("%q: got %s and %s; want %s and %s", ref, got.Registry, got.Repository, domain, reference.Path(want))
		}
		if got.String() != want.String() {
			t.Errorf("%q: got %s, want %s", ref, got, want)
		}
		again, err := image.Parse(got.String())
		if err != nil || again != got {
			t.Errorf("%q: %s reads as %+v, %v", ref, got, again, err)
		}
	})
}

// What runtimes accept and this package does not, on purpose.
func TestStricterThanTheRuntimes(t *testing.T) {
	for ref, why := range map[string]string{
		"gcr.io:99999/a": "no such port",
		"gcr.io/a@other:" + strings.Repeat("a", 40): "unregistered digest algorithm",
	} {
		if _, err := image.Parse(ref); err == nil {
			t.Errorf("%s: %s", ref, why)
		}
	}
}
