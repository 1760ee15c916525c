package kubelet_test

import (
	"testing"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

// Every shape that a registry's name has is matched by the sample and asks the
// API that belongs to it.
func TestEveryRegistryOfTheSampleAsksItsOwnEndpoint(t *testing.T) {
	tests := []struct{ registry, service, endpoint, partition string }{
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "ecr", "api.ecr.eu-west-1.amazonaws.com", "aws"},
		{"123456789012.dkr.ecr-fips.us-east-2.amazonaws.com", "ecr", "api.ecr-fips.us-east-2.amazonaws.com", "aws"},
		{"123456789012.dkr-ecr.us-west-2.on.aws", "ecr", "ecr.us-west-2.api.aws", "aws"},
		{"123456789012.dkr-ecr-fips.us-west-2.on.aws", "ecr", "ecr-fips.us-west-2.api.aws", "aws"},
		{"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "ecr", "api.ecr.us-gov-west-1.amazonaws.com", "aws-us-gov"},
		{"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "ecr", "api.ecr-fips.us-gov-west-1.amazonaws.com", "aws-us-gov"},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "ecr", "api.ecr.cn-north-1.amazonaws.com.cn", "aws-cn"},
		{"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "ecr", "ecr.cn-north-1.api.amazonwebservices.com.cn", "aws-cn"},
		{"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "ecr", "api.ecr.eusc-de-east-1.amazonaws.eu", "aws-eusc"},
		{"public.ecr.aws", "ecr-public", "api.ecr-public.us-east-1.amazonaws.com", "aws"},
		{"ecr-public.aws.com", "ecr-public", "ecr-public.us-east-1.api.aws", "aws"},
	}
	for _, test := range tests {
		t.Run(test.registry, func(t *testing.T) {
			node := bootAWSIn(t, "eu-west-1", "us-east-1", "us-east-2", "us-west-2", "us-gov-west-1", "cn-north-1", "eusc-de-east-1")
			role := "arn:" + test.partition + ":iam::123456789012:role/instance"
			node.aws.AddRole(aws.Role{ARN: role, Allow: []aws.Action{aws.ECRToken, aws.ECRPublicToken, aws.BearerToken}})
			node.aws.Configure(func(s *aws.Settings) { s.Instance.Role = role })
			kubelet := startKubelet(t, node.nodeSample())

			done := kubelet.pull(test.registry + "/team/app:v1")

			answer := done.Answers[0]
			if len(answer.Credentials) != 1 {
				t.Fatalf("%d credentials, want 1; kubelet logged %q", len(answer.Credentials), done.Log)
			}
			token, issued := node.aws.Token(answer.Credentials[0].Password)
			if !issued || token.Service != test.service || token.Principal.Role != role {
				t.Errorf("the password is %s's, issued to %q; want %s's, issued to %s", token.Service, token.Principal.Role, test.service, role)
			}
			asked := node.Cloud.Calls.Of(test.service, "GetAuthorizationToken")
			if len(asked) != 1 || asked[0].Host != test.endpoint {
				t.Errorf("asked %v, want one call at %s", asked, test.endpoint)
			}
		})
	}
}

// The public registry can be pulled from without a credential, so a node that
// may not have one pulls anonymously: that is no failure.
func TestThePublicRegistryIsPulledFromAnonymouslyWithoutPermission(t *testing.T) {
	node := bootAWS(t)
	kubelet := startKubelet(t, node.nodeSample())

	done := kubelet.pull("public.ecr.aws/docker/library/busybox", "public.ecr.aws/eks-distro/kubernetes/pause:3.10")

	for i, answer := range done.Answers {
		if answer.Found {
			t.Errorf("answer %d has %d credentials", i+1, len(answer.Credentials))
		}
	}
	if len(done.Log) != 0 {
		t.Errorf("kubelet logged %q", done.Log)
	}
	if asked := node.Cloud.Calls.Count("ecr-public", ""); asked != 1 {
		t.Errorf("ECR Public was asked %d times, want 1", asked)
	}
}

// bootAWSIn is bootAWS in an AWS of the regions.
func bootAWSIn(t *testing.T, regions ...string) *awsNode {
	t.Helper()
	c := cloudtest.New(t)
	f := aws.New(c.Calls, c.Faults)
	if err := f.Place(c, regions...); err != nil {
		t.Fatal(err)
	}
	return &awsNode{&node{&fake.Node{Kind: aws.Kind(), Cloud: c, Issuer: f.Issuer}, t}, f}
}
