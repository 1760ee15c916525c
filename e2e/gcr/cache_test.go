package gcr_test

import (
	"os"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

// An access token is good for every registry of Google's that its owner may
// read, so one is enough for all of them.
func TestATokenIsAskedForOnce(t *testing.T) {
	n := bootNode(t)
	cold := n.ask(question{Image: registry + "/project/team/app"}).wantCredential(registry, gcp.Account(nodeAccount))
	n.wantCalls(askMetadata)
	if cold.keep != 10*time.Minute {
		t.Errorf("the kubelet keeps it for %s, want 10m", cold.keep)
	}

	for _, test := range []struct{ name, image, registry string }{
		{"the same image", registry + "/project/team/app", registry},
		{"another repository", registry + "/another/team/tool", registry},
		{"a tag and a digest", registry + "/project/team/app:v1@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7", registry},
		{"another location", "europe-west12-docker.pkg.dev/project/team/app", "europe-west12-docker.pkg.dev"},
		{"Container Registry", "gcr.io/project/app", "gcr.io"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := n.in(t)
			warm := n.ask(question{Image: test.image}).wantCredential(test.registry, gcp.Account(nodeAccount))
			n.wantCalls()
			if warm.password != cold.password {
				t.Error("another token than the first")
			}
		})
	}
}

func TestTheCacheIsForItsOwnerOnly(t *testing.T) {
	n := bootNode(t)
	n.ask(question{Image: registry + "/p/r/app"}).wantCredential(registry, gcp.Account(nodeAccount))
	cloudtest.WantPrivateCache(t)
}

func TestWithoutACacheEveryRunAsks(t *testing.T) {
	n := bootNode(t)
	for range 2 {
		n.ask(question{Image: registry + "/p/r/app", Args: []string{"--cache-dir="}}).wantCredential(registry, gcp.Account(nodeAccount))
		n.wantCalls(askMetadata)
	}
	if _, err := os.Stat(cloudtest.CacheDir); !os.IsNotExist(err) {
		t.Errorf("%s: %v, want it not to exist", cloudtest.CacheDir, err)
	}
}

// STS documents tokens of up to 12 KiB.
func TestTheLongestTokenIsKeptWhole(t *testing.T) {
	n := bootNode(t)
	n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Shape = gcp.LongestToken })
	q := question{Image: registry + "/p/r/app"}
	first := n.ask(q).wantCredential(registry, gcp.Account(nodeAccount))
	n.wantCalls(askMetadata)
	if second := n.ask(q).wantCredential(registry, gcp.Account(nodeAccount)); len(first.password) < 12000 || second.password != first.password {
		t.Errorf("tokens of %d and %d characters", len(first.password), len(second.password))
	}
	n.wantCalls()
}
