package kubelet_test

import (
	"strings"
	"testing"

	"regcred/shared/kubelet"
)

func TestImageName(t *testing.T) {
	for written, want := range map[string]string{
		"busybox":                     "docker.io/library/busybox",
		"busybox:1@sha256:" + digest:  "docker.io/library/busybox",
		"index.docker.io/busybox":     "docker.io/library/busybox",
		"foo/bar":                     "docker.io/foo/bar",
		"myhost/foo":                  "docker.io/myhost/foo",
		"localhost/foo":               "localhost/foo",
		"gcr.io/p/i:v1":               "gcr.io/p/i",
		"GCR.io/p/i":                  "GCR.io/p/i",
		"[2001:db8::1]:5000/a:latest": "[2001:db8::1]:5000/a",
	} {
		if got, err := kubelet.ImageName(written); err != nil || got != want {
			t.Errorf("%s: got %s, %v", written, got, err)
		}
	}
	for _, written := range []string{"", "gcr.io/P/i", "https://gcr.io/a", strings.Repeat("a", 64), "gcr.io/a\x1b[2J", "gcr.io/a\nb", strings.Repeat("a/", 5000) + "a"} {
		name, err := kubelet.ImageName(written)
		if err == nil {
			t.Errorf("%q: got %q", written, name)
		} else if text := err.Error(); len(text) > 300 || strings.ContainsAny(text, "\n\x1b") {
			t.Errorf("%q: error %q", written, text)
		}
	}
}

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// Of several patterns the nearest is named, and what of it differs.
func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		image    string
		patterns []string
		nearest  int
		reason   string
	}{
		{"us.gcr.io/p/i", []string{"*.gcr.io"}, 0, ""},
		{"us.gcr.io/p/i", []string{"gcr.io", "*.gcr.io"}, 1, ""},
		{"gcr.io/p/i", []string{"*.azurecr.io", "*.gcr.io"}, 1, "the image's host gcr.io has 2 parts, and the pattern's 3: a star is for one part"},
		{"registry.k8s.io/pause", []string{"*.io"}, 0, "the image's host registry.k8s.io has 3 parts, and the pattern's 2: a star is for one part"},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app", []string{"*.dkr.ecr.*.amazonaws.com"}, 0, "has 7 parts, and the pattern's 6"},
		{"registry.io/a/img", []string{"gcr.io", "registry.io/*"}, 1, "it matches no image: globs are for the parts of a host, and a path counts as it is written; write registry.io"},
		{"registry.io/a/img", []string{"https://registry.io"}, 0, "it matches no image: it is read as one for the host https; write registry.io"},
		{"registry.io/a/img", []string{"registry.io/a/img:v1"}, 0, "the kubelet cuts tags and digests off images; write registry.io/a/img"},
		{"registry.io/team/img", []string{"registry.io/Team"}, 0, "the path of an image has no capital letters; write registry.io/team"},
		{"docker.io/library/busybox", []string{"index.docker.io"}, 0, "images of Docker Hub are those of docker.io; write docker.io"},
		{"docker.io/library/nginx", []string{"docker.io/nginx"}, 0, "write docker.io/library/nginx for that"},
		{"docker.io/myhost/app", []string{"gcr.io", "myhost/app"}, 1, "write docker.io/myhost/app"},
		{"ab.example.com/x", []string{"a?.example.com"}, 0, "it is read as a;"},
		{"gcr.io/p", []string{"me@gcr.io/x"}, 0, "the image's path /p does not begin with /x"},
		{"registry.io:5000/img", []string{"registry.io"}, 0, "the image has port 5000, and the pattern no port: they have to be written alike"},
		{"registry.io/img", []string{"registry.io:443"}, 0, "the image has no port, and the pattern port 443: they have to be written alike"},
		{"registry.io/team-b/x", []string{"registry.io/team/"}, 0, "the image's path /team-b/x does not begin with /team/"},
		{"GCR.io/p/i", []string{"gcr.io"}, 0, "the image's host GCR.io is written with other capital letters"},
		{"gcr.io/p/i", []string{"GCR.io"}, 0, "write gcr.io"},
		{"[2001:db8::1]/a", []string{"[2001:db8::1]"}, 0, "the brackets of an IPv6 address without a port are a glob's, and match nothing"},
		{"us.example.com/x", []string{"gcr.io", "eu.example.com", "a.b"}, 1, `"us" of the image's host is not "eu"`},
		{"gcr.io/x", []string{"registry.io:*"}, 0, "the kubelet does not start with it: invalid port"},
		{"gcr.io/x", nil, 0, "no pattern"},
	} {
		var p kubelet.Provider
		p.MatchImages = tc.patterns
		p.Index = 2
		m := p.Match(tc.image)
		if m.Matched != (tc.reason == "") || !strings.Contains(m.Reason, tc.reason) {
			t.Errorf("%s %q: got %+v, want %q", tc.image, tc.patterns, m, tc.reason)
		}
		if len(tc.patterns) > 0 && (m.Pattern != tc.patterns[tc.nearest] || !strings.HasPrefix(m.Field, "providers[2].matchImages[") || !strings.HasSuffix(m.Field, "["+string(rune('0'+tc.nearest))+"]")) {
			t.Errorf("%s %q: got %s %s, want the one of index %d", tc.image, tc.patterns, m.Field, m.Pattern, tc.nearest)
		}
	}
}
