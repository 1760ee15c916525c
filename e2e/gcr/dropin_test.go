package gcr_test

import (
	"testing"
	"time"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"regcred/e2e/cloud/gcp"
)

// There, the variable is how long the kubelet keeps an answer, whether its
// token lives that long or not. Here, it is the longest.
func TestTheVendorsVariableCapsHowLongTheKubeletKeepsAnAnswer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		duration    string
		life        time.Duration
		least, most time.Duration
	}{
		{"5m", time.Hour, 5 * time.Minute, 5 * time.Minute},
		{"0s", time.Hour, 0, 0},
		{"24h", time.Hour, 20 * time.Minute, time.Hour},
		{"24h", 4 * time.Minute, time.Minute, 3 * time.Minute},
	} {
		t.Run(test.duration+" of "+test.life.String(), func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.gcp.Configure(func(s *gcp.Settings) { s.Metadata.Token.Life, s.Metadata.RenewBefore = test.life, time.Second })
			token := n.ask(question{Image: registry + "/p/r/app", Env: []string{"KUBE_SIDECAR_CACHE_DURATION=" + test.duration}}).
				wantCredential(registry, gcp.Account(nodeAccount))
			if token.keep < test.least || token.keep > test.most {
				t.Errorf("the kubelet keeps it for %s, want %s to %s", token.keep, test.least, test.most)
			}
		})
	}
}

// An answer names one registry, so the kubelet can use it for that one alone
// even where it was told to use it for all.
func TestTheVendorsVariableSaysWhatTheKubeletKeepsAnAnswerFor(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]credentialprovider.PluginCacheKeyType{
		"image":    credentialprovider.ImagePluginCacheKeyType,
		"registry": credentialprovider.RegistryPluginCacheKeyType,
		"global":   credentialprovider.RegistryPluginCacheKeyType,
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			response, _ := n.ask(question{Image: registry + "/p/r/app", Env: []string{"KUBE_SIDECAR_CACHE_TYPE=" + value}}).Response()
			if response.CacheKeyType != want || len(response.Auth) != 1 {
				t.Errorf("cacheKeyType %q for %d registries, want %q for 1", response.CacheKeyType, len(response.Auth), want)
			}
		})
	}
}
