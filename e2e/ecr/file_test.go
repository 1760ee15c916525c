package ecr_test

import (
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// configFile writes a configuration file of the plugin's.
func configFile(t *testing.T, settings string) string {
	t.Helper()
	return cloudtest.ConfigFile(t, "ECRCredentialProviderConfig", settings)
}
