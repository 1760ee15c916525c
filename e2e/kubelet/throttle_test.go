package kubelet_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
)

// budget is the longest that a pull waits for the plugin. Kubelet kills it at
// 60 s, and what it had to say is lost.
const budget = 55 * time.Second

// A cloud that throttles is not helped by a node on which every pull tries for
// itself.
func TestAThrottledCloudIsAskedByOneProcess(t *testing.T) {
	const count = 30
	bare := aws.Throttled()
	bare.Status = 429
	bare.Code = ""
	tests := []struct {
		name  string
		fault cloud.Fault
	}{
		{"ThrottlingException", aws.Throttled()},
		{"status 429 without a code", bare},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootNode(t)
			node.cloud.Faults.Always("ecr", "", test.fault)
			kubelet := startKubelet(t, nodeSample)

			begin := time.Now()
			done := kubelet.pull(images(count)...)
			t.Logf("%d images refused in %s with %d calls", count, time.Since(begin), node.cloud.Calls.Count("ecr", ""))

			for i, answer := range done.Answers {
				if answer.Found {
					t.Errorf("image %d has %d credentials", i, len(answer.Credentials))
				}
				if answer.Elapsed > budget {
					t.Errorf("image %d took %s", i, answer.Elapsed)
				}
			}
			if got := done.PluginErrors[pluginName]; got != count {
				t.Errorf("kubelet counted %d errors of the plugin, want %d", got, count)
			}
			if got := node.cloud.Calls.Count("ecr", ""); got < 2 || got > maxAttempts {
				t.Errorf("ECR was asked %d times, want at least twice and at most %d times", got, maxAttempts)
			}
			if got := node.cloud.Calls.Count("imds", ""); got != 3 {
				t.Errorf("the metadata service was asked %d times, want 3", got)
			}

			node.cloud.Faults.Clear()
			eventually(t, "a pull succeeds again", func() bool {
				return node.whose(kubelet.pull(images(1)...).Answers[0]) == nodeRole
			})
		})
	}
}

// maxAttempts bounds the calls of one process.
const maxAttempts = 6
