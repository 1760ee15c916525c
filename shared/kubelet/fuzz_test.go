package kubelet_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/shared/image"
	"regcred/shared/kubelet"
)

func seed(f *testing.F, dir string) {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.*"))
	if err != nil || len(paths) == 0 {
		f.Fatal(err, len(paths))
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if filepath.Ext(path) != ".txt" {
			f.Add(text)
		}
	}
}

// oneLine fails the test for a problem that is not fit to print.
func oneLine(t *testing.T, problems kubelet.Problems) {
	t.Helper()
	for _, p := range problems {
		if p.Code == "" || p.Message == "" || strings.ContainsAny(p.String(), "\n\r\x1b\x00") || len(p.String()) > 8<<10 {
			t.Errorf("problem %q", p)
		}
	}
}

// FuzzConfig: whatever the text, there is a verdict fit to print, and a
// configuration that is accepted stays the same when it is written.
func FuzzConfig(f *testing.F) {
	seed(f, "config")
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := kubelet.Parse("c.yaml", text)
		oneLine(t, config.Problems)
		if err == nil {
			roundTrip(t, config)
		}
		for _, m := range config.Match("registry.example.com/team/app") {
			if m.Matched == (m.Reason != "") {
				t.Errorf("%+v", m)
			}
		}
	})
}

// FuzzAnswer: an answer is refused for a reason that has nothing of its
// passwords in it.
func FuzzAnswer(f *testing.F) {
	seed(f, "answer")
	f.Fuzz(func(t *testing.T, text []byte) {
		response, problems := kubelet.DecodeResponse("credentialprovider.kubelet.k8s.io/v1", text)
		oneLine(t, problems)
		if response == nil && problems.Err() == nil {
			t.Error("no response and no reason")
		}
		for _, p := range problems {
			if strings.Contains(p.String(), "hunter2-hunter2") {
				t.Errorf("%s", p)
			}
		}
	})
}

// FuzzDocker: a docker configuration is read or refused, and written again is
// the same.
func FuzzDocker(f *testing.F) {
	seed(f, "docker")
	f.Fuzz(func(t *testing.T, text []byte) {
		secret := pullSecret("s", string(text))
		oneLine(t, secret.Problems())
		auths, _, err := secret.Auths()
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b\x00") {
				t.Errorf("%q", err)
			}
			return
		}
		written, err := kubelet.ConfigJSON(auths)
		if err != nil {
			return
		}
		again, _, err := pullSecret("s", string(written)).Auths()
		if err != nil || len(again) != len(auths) {
			t.Fatalf("%v: %s", err, written)
		}
		for i := range auths {
			if auths[i].Key != again[i].Key || auths[i].Username != again[i].Username || auths[i].Password.Reveal() != again[i].Password.Reveal() {
				t.Errorf("%d: %+v became %+v", i, auths[i], again[i])
			}
		}
	})
}

// FuzzPattern: a pattern that is said to match no image matches none, and
// where none matches there is a reason.
func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{"*.gcr.io", "registry.io/*", "index.docker.io", "myhost/app", "a_b.io", "[::1]:5000", "gcr.io/P", "a?.io", "docker.io/nginx", "u:p@gcr.io"} {
		for _, name := range []string{"us.gcr.io/p", "busybox", "myhost/app", "a_b.io/x", "[::1]:5000/a", "GCR.io/p"} {
			f.Add(pattern, name)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, written string) {
		name, err := kubelet.ImageName(written)
		if err != nil {
			return
		}
		want, err := image.Match(pattern, name)
		want = want && err == nil
		p := kubelet.Provider{CredentialProvider: kubeletconfig.CredentialProvider{MatchImages: []string{pattern}}}
		m := p.Match(name)
		if m.Matched != want || m.Matched == (m.Reason != "") || strings.ContainsAny(m.Reason, "\n\r\x1b\x00") {
			t.Errorf("%q, %q: %+v", pattern, name, m)
		}
		if never := strings.Contains(m.Reason, "matches no image"); never && want {
			t.Errorf("%q matches %q", pattern, name)
		}
	})
}
