package kubelet_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
)

// What was obtained for those who wait may be dead when they get to see it: a
// machine can be suspended, or so busy that it might as well be.
func TestATokenThatExpiredWhileOthersWaitedIsNotServed(t *testing.T) {
	const (
		count = 12
		life  = 2 * time.Second
	)
	node := bootNode(t)
	node.aws.Configure(func(s *aws.Settings) { s.Token.Life = life })
	node.cloud.Faults.First(1, "ecr", "", cloud.Slow{Delay: time.Second})
	kubelet := startKubelet(t, nodeSample)

	wait := kubelet.begin(staticPods(images(count)...)...)
	eventually(t, "all plugins run and the first asks ECR", func() bool {
		return len(kubelet.plugins()) == count && node.cloud.Calls.Count("ecr", "") == 1
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
	node.wantCalls(askNode)
	for _, pid := range waiting {
		kubelet.signal(pid, syscall.SIGCONT)
	}
	woken := time.Now()
	done := wait()

	node.wantAll(done.Answers, nodeRole)
	node.wantCalls(askNode)
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

// Kubelet can not be told to forget, so it must not be told to remember for
// longer than the token lives.
func TestAnExpiredTokenIsNotServedToALaterPull(t *testing.T) {
	const life = 2 * time.Second
	node := bootNode(t)
	node.aws.Configure(func(s *aws.Settings) { s.Token.Life = life })
	kubelet := startKubelet(t, nodeSample)
	first := kubelet.pull(registry + "/team/app:v1")
	node.wantCalls(askNode)

	time.Sleep(life)
	second := kubelet.pull(registry + "/team/app:v1")

	node.wantAll(append(first.Answers, second.Answers...), nodeRole)
	node.wantCalls(askNode)
	if len(passwords(append(first.Answers, second.Answers...))) != 2 {
		t.Error("the second pull got the password that had expired")
	}
}
