package kubelet_test

import (
	"strings"
	"syscall"
	"testing"

	"regcred/e2e/cloud"
)

// The kernel takes the lock from a dead process, so those who wait for it wait
// for nobody.
func TestAKilledLeaderIsFollowedByAnother(t *testing.T) {
	const count = 20
	node := bootAWS(t)
	node.Cloud.Faults.First(1, "ecr", "", cloud.Hang{})
	kubelet := startKubelet(t, node.nodeSample())

	wait := kubelet.begin(staticPods(node.images(count)...)...)
	eventually(t, "all plugins run and the first asks ECR", func() bool {
		return len(kubelet.plugins()) == count && node.Cloud.Calls.Count("ecr", "") == 1
	})
	kubelet.signal(kubelet.leader(), syscall.SIGKILL)
	done := wait()

	answered := map[string]int{}
	for _, answer := range done.Answers {
		answered[node.whose(answer)]++
	}
	if answered[node.Machine.Owner] != count-1 || answered["nobody's"] != 1 {
		t.Errorf("answers by whose they are: %v, want all but the killed one's to be the node's", answered)
	}
	if different := len(passwords(done.Answers)); different != 1 {
		t.Errorf("%d different passwords were handed out, want 1", different)
	}
	if failed := failures(done); len(failed) != 1 || !strings.Contains(failed[0], "signal: killed") {
		t.Errorf("kubelet logged %q, want the one killed plugin", failed)
	}
	node.wantCalls(calls{
		"imds PutToken":             2,
		"imds ListRoles":            2,
		"imds GetRole":              2,
		"ecr GetAuthorizationToken": 2,
	})
}
