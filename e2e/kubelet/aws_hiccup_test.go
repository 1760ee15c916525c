package kubelet_test

import (
	"net/http"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
)

// What passes by itself is tried again, by the one process that asks.
func TestAHiccupOfTheCloudFailsNoPull(t *testing.T) {
	tests := []struct {
		name               string
		service, operation string
		fault              cloud.Fault
	}{
		{"ECR throttles", "ecr", "GetAuthorizationToken", aws.Throttled()},
		{"ECR throttles by status", "ecr", "GetAuthorizationToken", cloud.Refusal{Status: http.StatusTooManyRequests}},
		{"ECR says how long to wait", "ecr", "GetAuthorizationToken", cloud.Refusal{Status: http.StatusTooManyRequests, RetryAfter: time.Second}},
		{"ECR is broken", "ecr", "GetAuthorizationToken", aws.ServerError()},
		{"ECR's balancer has nobody to ask", "ecr", "GetAuthorizationToken", cloud.Refusal{Status: http.StatusServiceUnavailable}},
		{"ECR takes the connection away", "ecr", "GetAuthorizationToken", cloud.Reset{}},
		{"ECR's answer ends early", "ecr", "GetAuthorizationToken", cloud.Truncated},
		{"IMDS is broken", "imds", "PutToken", cloud.Refusal{Status: http.StatusServiceUnavailable}},
		{"IMDS takes the connection away", "imds", "PutToken", cloud.Reset{}},
		{"IMDS has no list yet", "imds", "ListRoles", cloud.Refusal{Status: http.StatusInternalServerError}},
		{"IMDS throttles", "imds", "GetRole", cloud.Refusal{Status: http.StatusTooManyRequests}},
		{"IMDS takes the connection of the last call away", "imds", "GetRole", cloud.Reset{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootAWS(t)
			node.Cloud.Faults.First(1, test.service, test.operation, test.fault)
			kubelet := startKubelet(t, node.nodeSample())

			done := kubelet.pull(node.images(5)...)

			node.wantAll(done.Answers, node.Machine.Owner)
			wantPrompt(t, done)
			if asked := node.Cloud.Calls.Count(test.service, test.operation); asked != 2 {
				t.Errorf("%s was asked %d times for %s, want 2", test.service, asked, test.operation)
			}
		})
	}
}

func TestAHiccupOfSTSFailsNoPull(t *testing.T) {
	tests := []struct {
		name  string
		fault cloud.Fault
	}{
		{"it throttles", cloud.Refusal{Status: http.StatusBadRequest, Code: "Throttling", Message: "Rate exceeded"}},
		{"the issuer did not answer it", cloud.Refusal{Status: http.StatusBadRequest, Code: "IDPCommunicationError"}},
		{"it is broken", cloud.Refusal{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable"}},
		{"it takes the connection away", cloud.Reset{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootAWS(t)
			web := node.addWorkload("shop", "web", webRole)
			node.Cloud.Faults.First(1, "sts", "", test.fault)
			kubelet := startKubelet(t, node.podsSample(), web)

			done := kubelet.lookup(node.podsOf(web, node.images(5)...)...)

			node.wantAll(done.Answers, webRole)
			wantPrompt(t, done)
			node.wantCalls(calls{
				"sts AssumeRoleWithWebIdentity": 2,
				"ecr GetAuthorizationToken":     1,
			})
		})
	}
}

// On an instance that has just started, the role can come seconds after the
// first pod.
func TestARoleThatComesAfterBootIsWaitedFor(t *testing.T) {
	t.Run("the list of roles is empty at first", func(t *testing.T) {
		node := bootAWS(t)
		node.aws.Configure(func(s *aws.Settings) { s.Instance.EmptyLists = 1 })
		kubelet := startKubelet(t, node.nodeSample())

		node.wantAll(kubelet.pull(node.images(5)...).Answers, node.Machine.Owner)
	})
	t.Run("there is no list at first", func(t *testing.T) {
		node := bootAWS(t)
		node.aws.Configure(func(s *aws.Settings) { s.Instance.Role = "" })
		kubelet := startKubelet(t, node.nodeSample())

		wait := kubelet.begin(staticPods(node.images(5)...)...)
		eventually(t, "the metadata service is asked", func() bool {
			return node.Cloud.Calls.Count("imds", "ListRoles") > 0
		})
		node.aws.Configure(func(s *aws.Settings) { s.Instance.Role = node.Machine.Owner })
		node.wantAll(wait().Answers, node.Machine.Owner)
	})
}
