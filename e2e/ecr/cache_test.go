package ecr_test

import (
	"os"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
)

func TestACredentialIsAskedForOnce(t *testing.T) {
	n := bootNode(t, "us-east-1", "us-west-2")
	cold := n.ask(question{Image: registry + "/team/app"}).wantCredential(registry, nodeRole)
	n.wantCalls(askIMDS, askECR(ecrAPI))
	if cold.keep != 10*time.Minute {
		t.Errorf("the kubelet keeps it for %s, want 10m", cold.keep)
	}

	other := "210987654321.dkr.ecr.us-east-1.amazonaws.com"
	for _, test := range []struct{ name, image, registry string }{
		{"the same image", registry + "/team/app", registry},
		{"another repository", registry + "/another/team/tool", registry},
		{"a tag and a digest", registry + "/team/app:v1@sha256:9b2a2d2cf1b9b2f3d0e3b3f0b2a4e8a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7", registry},
		{"another account", other + "/team/app", other},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := n.in(t)
			warm := n.ask(question{Image: test.image}).wantCredential(test.registry, nodeRole)
			n.wantCalls()
			if warm.password != cold.password {
				t.Error("another password than the first")
			}
		})
	}

	t.Run("another region", func(t *testing.T) {
		n := n.in(t)
		west := "123456789012.dkr.ecr.us-west-2.amazonaws.com"
		token := n.ask(question{Image: west + "/team/app"}).wantCredential(west, nodeRole)
		n.wantCalls(askIMDS, askECR("api.ecr.us-west-2.amazonaws.com"))
		if token.Region != "us-west-2" {
			t.Errorf("a token of %s", token.Region)
		}
	})
}

func TestTheCacheIsForItsOwnerOnly(t *testing.T) {
	n := bootNode(t)
	n.ask(question{Image: registry + "/app"}).wantCredential(registry, nodeRole)
	cloudtest.WantPrivateCache(t)
}

func TestWithoutACacheEveryRunAsks(t *testing.T) {
	n := bootNode(t)
	for range 2 {
		n.ask(question{Image: registry + "/app", Args: []string{"--cache-dir="}}).wantCredential(registry, nodeRole)
		n.wantCalls(askIMDS, askECR(ecrAPI))
	}
	if _, err := os.Stat(cloudtest.CacheDir); !os.IsNotExist(err) {
		t.Errorf("%s: %v, want it not to exist", cloudtest.CacheDir, err)
	}
}
