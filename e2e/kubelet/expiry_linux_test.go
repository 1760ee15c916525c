package kubelet_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/kubelet/wire"
)

// What was obtained for those who wait may be dead when they get to see it: a
// machine can be suspended, or so busy that it might as well be.
func TestATokenThatExpiredWhileOthersWaitedIsNotServed(t *testing.T) {
	const (
		count = 12
		life  = 2 * time.Second
	)
	node := bootAWS(t)
	node.aws.Configure(func(s *aws.Settings) { s.Token.Life = life })
	node.Cloud.Faults.First(1, "ecr", "", cloud.Slow{Delay: time.Second})
	kubelet := startKubelet(t, node.nodeSample())

	wait := kubelet.begin(staticPods(node.images(count)...)...)
	eventually(t, "all plugins run and the first asks ECR", func() bool {
		return len(kubelet.plugins()) == count && node.Cloud.Calls.Count("ecr", "") == 1
	})
	leader := kubelet.leader()
	waiting := slices.DeleteFunc(kubelet.plugins(), func(pid int) bool { return pid == leader })
	for _, pid := range waiting {
		kubelet.signal(pid, syscall.SIGSTOP)
	}
	eventually(t, "the leader has its answer and ends", func() bool {
		return !slices.Contains(kubelet.plugins(), leader)
	})
	time.Sleep(life)
	node.wantCalls(asked(node.Machine))
	for _, pid := range waiting {
		kubelet.signal(pid, syscall.SIGCONT)
	}
	woken := time.Now()
	done := wait()

	node.wantIssued(done.Answers)
	node.wantCalls(asked(node.Machine))
	dead := 0
	for _, password := range passwords(done.Answers) {
		if token, _ := node.aws.Token(password); token.Expires.Before(woken) {
			dead++
		}
	}
	if all := len(passwords(done.Answers)); all != 2 || dead != 1 {
		t.Errorf("%d passwords were handed out and %d had expired, want the leader's and a new one", all, dead)
	}
}

// Kubelet cannot be told to forget, so it must not be told to remember for
// longer than the token lives.
func TestAnExpiredTokenIsNotServedToALaterPull(t *testing.T) {
	const life = 2 * time.Second
	node := bootAWS(t)
	node.aws.Configure(func(s *aws.Settings) { s.Token.Life = life })
	kubelet := startKubelet(t, node.nodeSample())
	first := kubelet.pull(node.images(1)...)
	node.wantCalls(asked(node.Machine))

	time.Sleep(life)
	second := kubelet.pull(node.images(1)...)

	node.wantIssued(append(first.Answers, second.Answers...))
	node.wantCalls(asked(node.Machine))
	if len(passwords(append(first.Answers, second.Answers...))) != 2 {
		t.Error("the second pull got the password that had expired")
	}
}

// wantIssued fails the test for every answer that is not the machine's own
// credential, be it that it has expired since.
func (n *awsNode) wantIssued(answers []wire.Answer) {
	n.t.Helper()
	for i, answer := range answers {
		if len(answer.Credentials) != 1 {
			n.t.Errorf("answer %d has %d credentials", i+1, len(answer.Credentials))
			continue
		}
		if token, _ := n.aws.Token(answer.Credentials[0].Password); token.Principal.Role != n.Machine.Owner {
			n.t.Errorf("answer %d is %q's", i+1, token.Principal.Role)
		}
	}
}
