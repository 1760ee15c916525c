package acr_test

import (
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// configFile writes a configuration file of the plugin's.
func configFile(t *testing.T, settings string) string {
	t.Helper()
	return cloudtest.ConfigFile(t, "ACRCredentialProviderConfig", settings)
}

// file writes a file of the operator's.
func (n *node) file(content string) string {
	n.T.Helper()
	return cloudtest.File(n.T, content)
}
