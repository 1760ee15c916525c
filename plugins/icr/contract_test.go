package icr

import (
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/image"
)

func TestConform(t *testing.T) {
	var others []string
	for _, row := range hosts {
		if _, err := image.ParseRegistry(row.host); err == nil && row.what == foreign {
			others = append(others, row.host)
		}
	}
	plugintest.Conform(t, Plugin(), plugintest.Contract{
		Host:        "us.icr.io",
		Foreign:     others,
		Annotations: map[string]string{profileAnnotation: "Profile-11111111-2222-3333-4444-555555555555"},
		Args:        []string{"--profile=Profile-99999999-2222-3333-4444-555555555555"},
	})
}
