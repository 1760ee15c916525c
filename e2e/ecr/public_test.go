package ecr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
)

const (
	public     = "public.ecr.aws"
	publicDual = "ecr-public.aws.com"
	publicAPI  = "api.ecr-public.us-east-1.amazonaws.com"
)

// The public registry has one API, in us-east-1, for everybody. There is no
// FIPS endpoint of it, whatever the environment asks for.
func TestThePublicRegistryIsAskedInOnePlace(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, host string
		env        []string
		api        string
	}{
		{"plain", public, nil, publicAPI},
		{"another region", public, []string{"AWS_REGION=eu-west-1"}, publicAPI},
		{"FIPS", public, []string{"AWS_USE_FIPS_ENDPOINT=true"}, publicAPI},
		{"dual-stack host", publicDual, nil, "ecr-public.us-east-1.api.aws"},
		{"dual-stack host and FIPS", publicDual, []string{"AWS_USE_FIPS_ENDPOINT=true"}, "ecr-public.us-east-1.api.aws"},
		{"dual-stack", public, []string{"AWS_USE_DUALSTACK_ENDPOINT=true"}, "ecr-public.us-east-1.api.aws"},
		{"an endpoint and a dual-stack host", publicDual, []string{"AWS_ENDPOINT_URL_ECR_PUBLIC=https://" + publicAPI}, publicAPI},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.attach(nodeRole, aws.ECRPublicToken, aws.BearerToken)
			token := n.ask(question{Image: test.host + "/eks/pause", Env: test.env}).wantCredential(test.host, nodeRole)
			n.WantCalls(askIMDS, askPublic(test.api))
			if token.Service != "ecr-public" || token.Region != "us-east-1" {
				t.Errorf("a token of %s in %s", token.Service, token.Region)
			}
		})
	}
}

// Everybody may pull from the public registry. Who can have no token is told
// so, for a while in which AWS is left alone.
func TestWithoutATokenThePublicRegistryIsPulledFromAnonymously(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		role string // of the instance; empty: none
		may  []aws.Action
		asks []calls
	}{
		{"no permission", nodeRole, []aws.Action{aws.ECRToken}, []calls{askIMDS, askPublic(publicAPI)}},
		{"half the permission", nodeRole, []aws.Action{aws.ECRPublicToken}, []calls{askIMDS, askPublic(publicAPI)}},
		{"credentials of GovCloud", "arn:aws-us-gov:iam::123456789012:role/instance", []aws.Action{aws.ECRPublicToken, aws.BearerToken},
			[]calls{askIMDS, askPublic(publicAPI)}},
		{"credentials of China", "arn:aws-cn:iam::123456789012:role/instance", []aws.Action{aws.ECRPublicToken, aws.BearerToken},
			[]calls{askIMDS, askPublic(publicAPI)}},
		{"no credentials", "", nil, []calls{askIMDS[:2]}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.attach(test.role, test.may...)
			first := n.ask(question{Image: public + "/eks/pause"})
			first.WantNothing(time.Minute, 5*time.Minute)
			first.WantWithin(cloudtest.Soon)
			n.WantCalls(test.asks...)

			n.ask(question{Image: public + "/another/image"}).WantNothing(time.Minute, 5*time.Minute)
			n.WantCalls()
		})
	}
}

func TestWithoutMetadataThePublicRegistryIsPulledFromAnonymously(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	q := question{Image: public + "/eks/pause", Env: []string{"AWS_EC2_METADATA_DISABLED=true"}}
	n.ask(q).WantNothing(time.Minute, 5*time.Minute)
	n.WantCalls()
	n.ask(q).WantNothing(time.Minute, 5*time.Minute)
	n.WantCalls()
}

// That AWS is not well does not mean that there is no token.
func TestTroubleOfThePublicRegistryIsAFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fault cloud.Fault
		says  []string
	}{
		{"throttled", aws.Throttled(), []string{"status 400 ThrottlingException", "throttles"}},
		{"server error", aws.ServerError(), []string{"status 500 ServerException"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.attach(nodeRole, aws.ECRPublicToken, aws.BearerToken)
			n.Cloud.Faults.Always("ecr-public", "", test.fault)
			n.ask(question{Image: public + "/eks/pause"}).
				WantFailure(1, append(test.says, "ecr-public GetAuthorizationToken at "+publicAPI, public+": ", "the node's identity")...)
		})
	}
}
