package dockerconfig

import (
	"testing"

	"regcred/plugins/plugintest"
)

func TestConform(t *testing.T) {
	const host, password = "docker.corp.example", "hunter2-hunter2"
	file := write(t, `{"auths": {
		"docker.corp.example": {"username": "jane", "password": "hunter2-hunter2"},
		"*.other.example": {"username": "jane", "password": "hunter2-hunter2"}
	}}`)
	plugintest.Conform(t, Plugin(), plugintest.Contract{
		Host: host,
		Foreign: []string{
			"corp.example", "docker.corp.example.net", "xdocker.corp.example", "docker-corp.example", "docker.corp.examples", "docker.corp", "docker.example",
			"sub.docker.corp.example", "d0cker.corp.example", "docker.corp.example:443", "localhost", "other.example", "a.b.other.example",
		},
		Literal:  true,
		NodeOnly: true,
		Args:     []string{"--file", file, "--default-files=false"},
		Secrets:  []string{password},
	})
}
