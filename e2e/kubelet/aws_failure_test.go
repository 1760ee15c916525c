package kubelet_test

import (
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
		broken func(*awsNode)
		says   []string
	}{
		{
			name:   "ECR denies",
			broken: func(n *awsNode) { n.aws.AddRole(aws.Role{ARN: aws.NodeRole}) },
			says:   []string{"ecr", "GetAuthorizationToken", "api.ecr.us-east-1.amazonaws.com", "AccessDeniedException", "the node's identity"},
		},
		{
			name: "ECR is broken",
			broken: func(n *awsNode) {
				n.Cloud.Faults.Always("ecr", "", aws.ServerError())
			},
			says: []string{"ecr", "api.ecr.us-east-1.amazonaws.com", "500", "ServerException", "the node's identity"},
		},
		{
			name: "ECR's answer is a captive portal's",
			broken: func(n *awsNode) {
				n.Cloud.Faults.Always("ecr", "", cloud.NotJSON)
			},
			says: []string{"ecr", "api.ecr.us-east-1.amazonaws.com", "the node's identity"},
		},
		{
			name: "ECR takes the connection away",
			broken: func(n *awsNode) {
				n.Cloud.Faults.Always("ecr", "", cloud.Reset{})
			},
			says: []string{"ecr", "api.ecr.us-east-1.amazonaws.com", "connection reset", "the node's identity"},
		},
		{
			name: "ECR's answer is empty",
			broken: func(n *awsNode) {
				n.aws.Configure(func(s *aws.Settings) { s.Token.Shape = aws.NoData })
			},
			says: []string{"ecr", "no authorization data", "us-east-1", "the node's identity"},
		},
		{
			name: "ECR's answer is a user without a password",
			broken: func(n *awsNode) {
				n.aws.Configure(func(s *aws.Settings) { s.Token.Shape = aws.EmptyPassword })
			},
			says: []string{"ecr", "password", "us-east-1", "the node's identity"},
		},
		{
			name: "ECR's answer has expired already",
			broken: func(n *awsNode) {
				n.aws.Configure(func(s *aws.Settings) { s.Token.Life = -time.Hour })
			},
			says: []string{"123456789012.dkr.ecr.us-east-1.amazonaws.com", "expired", "clock"},
		},
		{
			name: "the instance has no role",
			broken: func(n *awsNode) {
				n.aws.Configure(func(s *aws.Settings) { s.Instance.Role = "" })
			},
			says: []string{"imds", "169.254.169.254", "404", "the node's identity", "instance profile"},
		},
		{
			name: "the metadata service is turned off",
			broken: func(n *awsNode) {
				n.aws.Configure(func(s *aws.Settings) { s.Instance.Disabled = true })
			},
			says: []string{"imds", "169.254.169.254", "403", "the node's identity", "turned off"},
		},
		{
			name: "the metadata service does not answer",
			broken: func(n *awsNode) {
				n.aws.Configure(func(s *aws.Settings) { s.Instance.HopLimited = true })
			},
			says: []string{"imds", "169.254.169.254", "the node's identity", "hop limit"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			node := bootAWS(t)
			test.broken(node)
			kubelet := startKubelet(t, node.nodeSample())

			done := kubelet.pull(node.images(1)...)

			t.Logf("after %s", done.Answers[0].Elapsed)
			node.wantAll(done.Answers, "nobody's")
			node.wantOneFailure(done, test.says...)
		})
	}
}
