package kubelet_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud/cloudtest"
)

// The cache's directory can be named in kubelet's configuration, as a variable or
// as an argument.
func TestTheCacheIsWhereTheConfigurationSays(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "cache")
	tests := []struct {
		name string
		set  func(*kubeletconfig.CredentialProvider)
	}{
		{"as a variable", func(provider *kubeletconfig.CredentialProvider) {
			provider.Env = []kubeletconfig.ExecEnvVar{{Name: "REGCRED_CACHE_DIR", Value: elsewhere}}
		}},
		{"as an argument", func(provider *kubeletconfig.CredentialProvider) {
			provider.Args = []string{"--cache-dir=" + elsewhere}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := os.RemoveAll(elsewhere); err != nil {
				t.Fatal(err)
			}
			node := bootAWS(t)
			config := node.nodeSample(test.set)

			node.wantAll(startKubelet(t, config).pull(node.images(1)...).Answers, node.Machine.Owner)
			node.wantCalls(asked(node.Machine))
			node.wantAll(startKubelet(t, config).pull(node.images(1)...).Answers, node.Machine.Owner)
			node.wantCalls(calls{})

			if _, err := os.Stat(cloudtest.CacheDir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is something at %s: %v", cloudtest.CacheDir, err)
			}
		})
	}
}

// Without a cache every run asks for itself, and still answers.
func TestTheCacheCanBeTurnedOff(t *testing.T) {
	node := bootAWS(t)
	config := node.nodeSample(func(provider *kubeletconfig.CredentialProvider) {
		provider.Args = []string{"--cache-dir="}
	})

	for range 2 {
		node.wantAll(startKubelet(t, config).pull(node.images(1)...).Answers, node.Machine.Owner)
		node.wantCalls(asked(node.Machine))
	}
	if _, err := os.Stat(cloudtest.CacheDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is something at %s: %v", cloudtest.CacheDir, err)
	}
}
