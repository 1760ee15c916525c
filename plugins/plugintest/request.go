// Package plugintest is what every plugin has to pass without a network, and
// what the tests of their packages need: requests as the kubelet makes them, and
// the documentation held to what it shows.
package plugintest

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"regcred/shared/credential"
	"regcred/shared/image"
	"regcred/shared/serviceaccount"
)

// Pod is the token of a pod whose service account is prod/NAME.
func Pod(t testing.TB, name, uid, podUID string) *serviceaccount.Token {
	t.Helper()
	return PodIn(t, "prod", name, uid, podUID)
}

// PodIn is the token of a pod whose service account is NAMESPACE/NAME.
func PodIn(t testing.TB, namespace, name, uid, podUID string) *serviceaccount.Token {
	t.Helper()
	claims := fmt.Sprintf(`{"iss":"https://issuer","sub":"system:serviceaccount:%s:%s","kubernetes.io":{"namespace":%q,"serviceaccount":{"name":%q,"uid":%q},"pod":{"name":"p","uid":%q}}}`,
		namespace, name, namespace, name, uid, podUID)
	token, err := serviceaccount.Parse("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Request is the question for an image's credential; a nil pod sends no token.
func Request(t testing.TB, name string, pod *serviceaccount.Token, annotations map[string]string) credential.Request {
	t.Helper()
	ref, err := image.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return credential.Request{Image: ref, Registry: ref.Registry, Pod: pod, Annotations: annotations}
}

// Getenv looks variables up in a list of NAME=VALUE.
func Getenv(env ...string) func(string) string {
	return func(name string) string {
		for _, set := range env {
			if value, ok := strings.CutPrefix(set, name+"="); ok {
				return value
			}
		}
		return ""
	}
}
