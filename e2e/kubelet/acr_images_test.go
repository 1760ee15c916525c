package kubelet_test

import (
	"fmt"
	"strings"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud/cloudtest"
)

// withAzureJSON lets azure.json say which identity is the node's.
func withAzureJSON(t *testing.T) func(*kubeletconfig.CredentialProvider) {
	t.Helper()
	file := azureJSON(t)
	return func(provider *kubeletconfig.CredentialProvider) {
		provider.Args = append([]string{file}, provider.Args...)
	}
}

// acrConfig writes a configuration with azure.json where it is here: /etc is the
// machine's own.
func acrConfig(t *testing.T, content string) string {
	t.Helper()
	return cloudtest.File(t, strings.ReplaceAll(content, "/etc/kubernetes/azure.json", azureJSON(t)))
}

// acrImages are distinct images of registries, in turn.
func acrImages(count int, hosts ...string) []string {
	if len(hosts) == 0 {
		hosts = []string{acrRegistry}
	}
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s/team/app-%d:v1.2.%d", hosts[i%len(hosts)], i, i)
	}
	return names
}

// splitImage cuts an image into what its registry is asked for.
func splitImage(image string) (host, repository string) {
	host, repository, _ = strings.Cut(image, "/")
	repository, _, _ = strings.Cut(repository, "@")
	repository, _, _ = strings.Cut(repository, ":")
	return strings.ToLower(strings.TrimSuffix(host, ":443")), repository
}
