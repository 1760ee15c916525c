package kubelet_test

import (
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
)

// Kubelet's log is the only place where anybody hears of a plugin's failure.
// One line there has to tell what failed, where, why and for whom.
func TestAFailureIsOneLineInKubeletsLog(t *testing.T) {
	tests := []struct {
		name   string
		broken func(*node)
		says   []string
	}{
		{
			name:   "ECR denies",
			broken: func(n *node) { n.aws.AddRole(aws.Role{ARN: nodeRole}) },
			says:   []string{"ecr", "GetAuthorizationToken", "api.ecr.us-east-1.amazonaws.com", "AccessDeniedException", "the node's identity"},
		},
		{
			name: "ECR is broken",
			broken: func(n *node) {
				n.cloud.Faults.Always("ecr", "", aws.ServerError())
			},
			says: []string{"ecr", "api.ecr.us-east-1.amazonaws.com", "500", "ServerException", "the node's identity"},
		},
		{
			name: "ECR's answer is a captive portal's",
			broken: func(n *node) {
				n.cloud.Faults.Always("ecr", "", cloud.NotJSON)
			},
			says: []string{"ecr", "api.ecr.us-east-1.amazonaws.com", "the node's identity"},
		},
		{
			name: "ECR takes the connection away",
			broken: func(n *node) {
				n.cloud.Faults.Always("ecr", "", cloud.Reset{})
			},
			says: []string{"ecr", "api.ecr.us-east-1.amazonaws.com", "connection reset", "the node's identity"},
		},
		{
			name: "ECR's answer is empty",
			broken: func(n *node) {
				n.aws.Configure(func(s *aws.Settings) { s.Token.Shape = aws.NoData })
			},
			says: []string{"ecr", "no authorization data", "us-east-1", "the node's identity"},
		},
		{
			name: "ECR's answer is a user without a password",
			broken: func(n *node) {
				n.aws.Configure(func(s *aws.Settings) { s.Token.Shape = aws.EmptyPassword })
			},
			says: []string{"ecr", "password", "us-east-1", "the node's identity"},
		},
		{
			name: "ECR's answer has expired already",
			broken: func(n *node) {
				n.aws.Configure(func(s *aws.Settings) { s.Token.Life = -time.Hour })
			},
			says: []string{registry, "expired", "clock"},
		},
		{
			name: "the instance has no role",
			broken: func(n *node) {
				n.aws.Configure(func(s *aws.Settings) { s.Instance.Role = "" })
			},
			says: []string{"imds", "169.254.169.254", "404", "the node's identity", "instance profile"},
		},
		{
			name: "the metadata service is turned off",
			broken: func(n *node) {
				n.aws.Configure(func(s *aws.Settings) { s.Instance.Disabled = true })
			},
			says: []string{"imds", "169.254.169.254", "403", "the node's identity", "turned off"},
		},
		{
			name: "the metadata service does not answer",
			broken: func(n *node) {
				n.aws.Configure(func(s *aws.Settings) { s.Instance.HopLimited = true })
			},
			says: []string{"imds", "169.254.169.254", "the node's identity", "hop limit"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootNode(t)
			test.broken(node)
			kubelet := startKubelet(t, nodeSample)

			done := kubelet.pull(registry + "/team/app:v1")

			t.Logf("after %s", done.Answers[0].Elapsed)
			if answer := done.Answers[0]; answer.Found {
				t.Errorf("kubelet would send %d credentials", len(answer.Credentials))
			}
			if counted := done.PluginErrors[pluginName]; counted != 1 {
				t.Errorf("kubelet counted %d errors of the plugin, want 1", counted)
			}
			failed := failures(done)
			if len(failed) != 1 {
				t.Fatalf("kubelet logged %q, want one failure", failed)
			}
			wantLine(t, said(t, failed[0]), test.says...)
		})
	}
}

// wantLine fails the test unless the plugin said one line that has all the
// words in it.
func wantLine(t *testing.T, line string, words ...string) {
	t.Helper()
	t.Log(line)
	if strings.Contains(line, "\n") {
		t.Errorf("the plugin said more than one line:\n%s", line)
	}
	for _, word := range words {
		if !strings.Contains(strings.ToLower(line), strings.ToLower(word)) {
			t.Errorf("the plugin does not say %q: %s", word, line)
		}
	}
}

// said is what the plugin wrote to its standard error, as the entry of
// kubelet's log about a failure repeats it.
func said(t *testing.T, entry string) string {
	t.Helper()
	_, rest, failed := strings.Cut(entry, ": exit status 1: ")
	text, _, ends := strings.Cut(rest, "\n > provider=")
	if !failed || !ends {
		t.Fatalf("not the log entry of a plugin that failed with a message:\n%s", entry)
	}
	return strings.ReplaceAll(text, "\n\t", "\n")
}
