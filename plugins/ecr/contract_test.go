package ecr

import (
	"testing"

	"regcred/plugins/plugintest"
)

func TestConform(t *testing.T) {
	plugintest.Conform(t, Plugin(), plugintest.Contract{
		Host:        "123456789012.dkr.ecr.us-east-1.amazonaws.com",
		Foreign:     foreignHosts,
		Annotations: map[string]string{roleAnnotation: teamRole},
		Args:        []string{"--account=123456789012=" + pullRole + "#tenant"},
		Env:         []string{"AWS_ENDPOINT_URL_ECR=https://user:hunter2@vpce.example.com", "AWS_CONTAINER_AUTHORIZATION_TOKEN=hunter3"},
		Secrets:     []string{"hunter2", "hunter3"},
	})
}
