package cluster

import (
	"slices"
	"testing"
)

func TestWhatANodeMayDo(t *testing.T) {
	s := newServer(t)
	c, err := s.open(t, "insecure-skip-tls-verify: true", "{token: x}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.User(t.Context()); !IsNotFound(err) {
		t.Errorf("an old API server: %v", err)
	}
	s.answers["POST /apis/authentication.k8s.io/v1/selfsubjectreviews"] = `{"status":{"userInfo":{"username":"system:node:node1","groups":["system:nodes"]}}}`
	if user, err := c.User(t.Context()); err != nil || user != "system:node:node1" {
		t.Errorf("user %q, %v", user, err)
	}
	s.answers["POST /apis/authorization.k8s.io/v1/subjectaccessreviews"] = `{"status":{"allowed":false,"evaluationError":"no such role"}}`
	allowed, reason, err := c.MayUser(t.Context(), "system:node:node1", []string{"system:nodes"}, Access{Verb: "get", Resource: "aud", Namespace: "team", Name: "app"})
	if allowed || reason != "no such role" || err != nil {
		t.Errorf("allowed %t, %q, %v", allowed, reason, err)
	}
	spec, _ := s.body["spec"].(map[string]any)
	attributes, _ := spec["resourceAttributes"].(map[string]any)
	if s.body["kind"] != "SubjectAccessReview" || spec["user"] != "system:node:node1" || attributes["resource"] != "aud" || attributes["name"] != "app" {
		t.Errorf("asked %v", s.body)
	}
	s.answers["GET /api/v1/pods"] = `{"items":[{"metadata":{"namespace":"b"},"spec":{"serviceAccountName":"x"}},{"metadata":{"namespace":"a"},"spec":{"serviceAccountName":"y"}},
		{"metadata":{"namespace":"b"},"spec":{"serviceAccountName":"x"}},{"metadata":{"namespace":"kube-system"},"spec":{}}]}`
	if accounts, err := c.Accounts(t.Context(), "node1"); err != nil || !slices.Equal(accounts, []string{"a/y", "b/x"}) {
		t.Errorf("accounts %q, %v", accounts, err)
	}
	reply, err := c.Get(t.Context(), "get it", "/api/v1/pods")
	if err != nil || len(reply.Body) == 0 || reply.Header.Get("Date") == "" {
		t.Errorf("reply %+v, %v", reply, err)
	}
}
