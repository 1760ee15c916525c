package library_test

import (
	"fmt"
	"strings"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/util/parsers"

	"regcred/shared/kubelet"
)

func (m maker) host() string {
	label := func() string {
		return one(m, "a", "b", "us", "gcr", "example", "localhost", "docker", "index", "io", "com", "A", "a-b", "123")
	}
	host := label()
	for range m.IntN(4) {
		host += "." + label()
	}
	host = usually(m, 6, host, "docker.io", "index.docker.io", "localhost", "gcr.io", "registry-1.docker.io", "[2001:db8::1]", "10.0.0.9", "myhost", "GCR.io")
	return host + usually(m, 4, "", ":5000", ":443", ":80")
}

func (m maker) path() string {
	part := func() string {
		return one(m, "a", "b", "team", "team-b", "app", "library", "busybox", "v1", "v2", "x__y", "x.y")
	}
	path := part()
	for range m.IntN(3) {
		path += "/" + part()
	}
	return path
}

// image is one as a pod may have it.
func (m maker) image() string {
	image := m.host() + "/" + m.path()
	if m.odds(5) {
		image = m.path()
	}
	if m.odds(12) {
		return one(m, "", "/", "a//b", "https://gcr.io/a", "gcr.io/P/i", "gcr.io./a", "user@gcr.io/a", "gcr.io/a:", "gcr.io:99999/a", strings.Repeat("a", 64),
			"gcr.io/a@other:"+strings.Repeat("a", 40), "gcr.io/"+strings.Repeat("a/", 130)+"a", "ɡcr.io/a", "gcr.io/a b", "[::1/a", "a_b.io/x", "a:b:c/d")
	}
	return image + usually(m, 3, "", ":v1", "@sha256:"+strings.Repeat("ab", 32), ":v1@sha256:"+strings.Repeat("ab", 32))
}

// pattern is an item of matchImages, or a key.
func (m maker) pattern() string {
	if m.odds(12) {
		return one(m, "", "*", "*.*", "*:5000", "registry.io:*", "a b", "a?.io", "a.io?x=*", "a.io#/x", "user:pw@a.io", "https://gcr.io", "oci://gcr.io", "[2001:db8::1]",
			"[2001:db8::1]:5000", "[::", "%zz", "a%2Fb.io", "a.io/%2Fb", "a.io/%zz", ".io", "a..b", "gcr.io.", "gcr.io:", "a[.io", `a\.io`, "a_b.io", "gcr.io/a:v1", "gcr.io/a@sha256:x", "gcr.io/P")
	}
	host := m.host()
	for range m.IntN(3) {
		labels := strings.Split(host, ".")
		i := m.IntN(len(labels))
		labels[i] = one(m, "*", "*", labels[i]+"*", "*"+labels[i], "u*s", labels[i])
		host = strings.Join(labels, ".")
	}
	return host + usually(m, 3, "", "/", "/"+m.path(), "/"+m.path()+"/", "/*", "/"+m.path()+"/*", "/te")
}

// What is asked of an image's name is the same, and so is what it matches.
func TestImages(t *testing.T) {
	m := newMaker(1)
	names, matches, nevers := 0, 0, 0
	for range scaled(60_000) {
		written := m.image()
		want, _, _, wantErr := parsers.ParseImageName(written)
		name, err := kubelet.ImageName(written)
		if (err == nil) != (wantErr == nil) || name != want {
			t.Fatalf("image %q: got %q, %v; want %q, %v", written, name, err, want, wantErr)
		}
		if err != nil {
			continue
		}
		names++
		pattern := m.pattern()
		if m.odds(2) {
			pattern = near(m, name)
		}
		is, err := credentialprovider.URLsMatchStr(pattern, name)
		provider := kubelet.Provider{CredentialProvider: kubeletconfig.CredentialProvider{MatchImages: []string{pattern}}}
		match := provider.Match(name)
		if match.Matched != (is && err == nil) {
			t.Fatalf("pattern %q, image %q: got %+v; want %t, %v", pattern, name, match, is, err)
		}
		if match.Matched {
			matches++
		} else if match.Reason == "" {
			t.Fatalf("pattern %q, image %q: no reason", pattern, name)
		}
		if never := matchesNothing(t, pattern); never {
			nevers++
			if match.Matched {
				t.Fatalf("pattern %q is said to match no image, and matches %q", pattern, name)
			}
		}
	}
	t.Logf("%d names, %d matches, %d patterns that match nothing", names, matches, nevers)
	if names < scaled(40_000) || matches < scaled(10_000) || nevers < scaled(5_000) {
		t.Errorf("little was compared")
	}
}

// near is a pattern that may be for an image.
func near(m maker, name string) string {
	host, path, _ := strings.Cut(name, "/")
	labels := strings.Split(host, ".")
	if m.odds(2) {
		i := m.IntN(len(labels))
		labels[i] = one(m, "*", labels[i]+"*", "*"+labels[i])
	}
	host = strings.Join(labels, ".")
	return host + one(m, "", "/", "/"+path, "/"+path[:m.IntN(len(path)+1)], "/"+path+"/x", ":5000", "/*")
}

// matchesNothing reports whether the library warns that a pattern is for no
// image.
func matchesNothing(t *testing.T, pattern string) bool {
	t.Helper()
	config, err := kubelet.Parse("c.yaml", fmt.Appendf(nil, `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[{
		"name":"p","matchImages":[%q],"defaultCacheDuration":"0s","apiVersion":"credentialprovider.kubelet.k8s.io/v1"}]}`, pattern))
	if err != nil {
		return false
	}
	for _, p := range config.Problems {
		if strings.Contains(p.Message, "matches no image") {
			return true
		}
	}
	return false
}
