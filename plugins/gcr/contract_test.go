package gcr

import (
	"testing"

	"regcred/plugins/plugintest"
)

func TestConform(t *testing.T) {
	plugintest.Conform(t, Plugin(), plugintest.Contract{
		Host:        "us-docker.pkg.dev",
		Foreign:     foreignHosts,
		Annotations: map[string]string{providerAnnotation: mainProvider},
		Args:        []string{"--credentials-file=/etc/key.json"},
		Env:         []string{"AWS_ACCESS_KEY_ID=hunter2", "AWS_SESSION_TOKEN=hunter3"},
		Secrets:     []string{"hunter2", "hunter3"},
	})
}
