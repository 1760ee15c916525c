package main

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"regcred/e2e/cloud"
)

func TestPasswordsAreNotTold(t *testing.T) {
	answer := credentialprovider.CredentialProviderResponse{
		CacheDuration: &metav1.Duration{Duration: 10 * time.Minute},
		Auth:          map[string]credentialprovider.AuthConfig{"registry.example": {Username: "AWS", Password: "hunter2"}},
	}
	nobodys := func(string, string, string) (string, error) { return "", errors.New("nobody the cloud knows") }
	if text := describe(nobodys, "registry.example/app", answer); text != "AWS, [7 bytes] of nobody the cloud knows" {
		t.Errorf("%q", text)
	}
	if text := describe(nobodys, "registry.example/app", credentialprovider.CredentialProviderResponse{}); text != "no credential for registry.example/app" {
		t.Errorf("%q", text)
	}
}

func TestCallsAreCountedInOrder(t *testing.T) {
	calls := []cloud.Call{{Service: "imds"}, {Service: "imds"}, {Service: "ecr"}}
	if text := called(calls); text != "imds 2x, ecr" {
		t.Errorf("%q", text)
	}
	if text := called(nil); text != "nobody" {
		t.Errorf("%q", text)
	}
}
