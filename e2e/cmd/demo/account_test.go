package main

import (
	"strings"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cmd/internal/scene"
)

func TestPasswordsAreNotTold(t *testing.T) {
	answer := response{CacheDuration: "10m0s", Auth: map[string]login{"registry.example": {"AWS", "hunter2"}}}
	text := answered(aws.New(&cloud.Calls{}, &cloud.Faults{}), []response{answer, answer, {}})
	want := "AWS:[7 characters] of nobody the cloud knows for registry.example, to keep for 10m0s; no credential"
	if text != want {
		t.Errorf("%q, want %q", text, want)
	}
}

func TestTokensAreNotTold(t *testing.T) {
	request := scene.NodeRequest("registry.example/app")
	request.ServiceAccountToken = "hunter2"
	if text := asked([]scene.Request{request, request}); strings.Contains(text, "hunter2") ||
		text != "registry.example/app, with the token of a service account … and 1 more" {
		t.Errorf("%q", text)
	}
}

func TestCallsAreToldInOrder(t *testing.T) {
	calls := []cloud.Call{{Service: "imds", Operation: "PutToken"}, {Service: "ecr", Operation: "GetAuthorizationToken"}}
	if text := called(calls); text != "imds PutToken, ecr GetAuthorizationToken" {
		t.Errorf("%q", text)
	}
	if text := called(nil); text != "nothing" {
		t.Errorf("%q", text)
	}
}
