package acr

import (
	"testing"

	"regcred/plugins/plugintest"
)

func TestConform(t *testing.T) {
	var foreign []string
	for _, tc := range hosts {
		if tc.cloud == "" {
			foreign = append(foreign, tc.host)
		}
	}
	secret := write(t, "secret", "hunter2")
	plugintest.Conform(t, Plugin(), plugintest.Contract{
		Host:        "myregistry.azurecr.io",
		Foreign:     foreign,
		Annotations: map[string]string{clientAnnotation: client, tenantAnnotation: tenant},
		Args:        []string{"--credential=client-secret", "--client-id=" + client, "--tenant-id=" + tenant, "--client-secret-file=" + secret},
		Secrets:     []string{"hunter2"},
	})
}
