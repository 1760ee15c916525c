package kubelet_test

import (
	"slices"
	"strings"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud/azure"
)

// anonymousFallback is the flag for registries that let everybody pull, and
// refuse a credential that they do not like.
func anonymousFallback(provider *kubeletconfig.CredentialProvider) {
	provider.Args = append(provider.Args, "--anonymous-fallback")
}

// Kubelet tries all credentials that it has for an image, one after the other,
// and then gives up: without a credential it pulls only where there was none. So
// what a registry that is open to everybody denies to the node's identity, is
// denied, unless an empty credential comes after it.
func TestKubeletPullsAnonymouslyAfterACredentialOnlyIfItIsToldTo(t *testing.T) {
	hosts := []string{
		"example.azurecr.io", "0.azurecr.io", "example.eastus.geo.azurecr.io", "Example.azurecr.io",
	}
	for _, test := range []struct {
		name   string
		change func(*kubeletconfig.CredentialProvider)
		want   []string
	}{
		{"not told", func(*kubeletconfig.CredentialProvider) {}, []string{azure.NodeIdentity.ClientID}},
		{"told", anonymousFallback, []string{azure.NodeIdentity.ClientID, "anonymous"}},
	} {
		for _, host := range hosts {
			t.Run(test.name+", "+host, func(t *testing.T) {
				node := bootAzure(t)
				image := host + "/team/app"
				server := strings.ToLower(host)
				node.serve(server, azure.NodeIdentity.ClientID)

				done := startKubelet(t, node.nodeSample(test.change)).pull(image)

				var tried []string
				for _, credential := range done.Answers[0].Credentials {
					tried = append(tried, node.owner(image, credential))
				}
				if !slices.Equal(tried, test.want) {
					t.Errorf("kubelet tries %q, want %q", tried, test.want)
				}
			})
		}
	}
}

// The pattern in the answer for one registry is no answer for another one.
func TestTheAnonymousEntryOfARegistryIsNoAnswerForAnother(t *testing.T) {
	node := bootAzure(t)
	node.serve("second.azurecr.io", azure.NodeIdentity.ClientID)
	kubelet := startKubelet(t, node.nodeSample(anonymousFallback))

	for _, host := range []string{node.Registry(0), "second.azurecr.io", node.Registry(0)} {
		image := host + "/team/app"
		credentials := kubelet.pull(image).Answers[0].Credentials
		if len(credentials) != 2 || node.owner(image, credentials[0]) != azure.NodeIdentity.ClientID || node.owner(image, credentials[1]) != "anonymous" {
			t.Errorf("%s: %d credentials", image, len(credentials))
		}
	}
	node.wantCalls(calls{"imds GetToken": 1, "acr Exchange": 2})
}

// A password that is good for one repository is used for no other one.
func TestAPasswordForARepositoryIsKeptForItsImage(t *testing.T) {
	node := bootAzure(t)
	kubelet := startKubelet(t, node.nodeSample(func(provider *kubeletconfig.CredentialProvider) {
		provider.Args = append(provider.Args, "--scope=repository")
	}))
	images := node.images(3)

	for range 2 {
		done := kubelet.pull(images...)
		node.wantAll(done.Answers, azure.NodeIdentity.ClientID)
		if different := len(passwords(done.Answers)); different != len(images) {
			t.Errorf("%d different passwords, want %d", different, len(images))
		}
	}
	node.wantCalls(calls{"imds GetToken": 1, "acr Exchange": 1, "acr GetAccessToken": len(images)})
}
