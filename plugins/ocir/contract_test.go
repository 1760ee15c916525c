package ocir

import (
	"testing"

	"regcred/plugins/plugintest"
)

func TestConform(t *testing.T) {
	plugintest.Conform(t, Plugin(), plugintest.Contract{
		Host:        "iad.ocir.io",
		Portless:    true,
		Foreign:     foreignHosts,
		Annotations: map[string]string{identityAnnotation: "workload"},
		Args:        []string{"--cluster-host=10.0.0.1"},
	})
}
