package ecr_test

import (
	"slices"
	"testing"
	"time"

	"regcred/e2e/cloud/aws"
)

// A pod's role is named by its service account or by the operator. The pod's
// own token is exchanged for it, in the region of the registry, and the node's
// credentials are not even looked at.
func TestAPodPullsWithItsOwnRole(t *testing.T) {
	t.Parallel()
	const own = "example.com/pull-role"
	withOwn := func(q question) question {
		q.Annotations = map[string]string{own: shopRole}
		return q
	}
	for _, test := range []struct {
		name string
		ask  func(q question) question
	}{
		{"annotation", func(q question) question { return q.as(shopRole) }},
		{"vendor's variable", func(q question) question { q.Env = []string{"AWS_ECR_ROLE_ARN=" + shopRole}; return q }},
		{"own variable", func(q question) question { q.Env = []string{"REGCRED_ROLE_ARN=" + shopRole}; return q }},
		{"flag", func(q question) question { q.Args = []string{"--role-arn", shopRole}; return q }},
		{"file", func(q question) question {
			q.Args = []string{"--config", configFile(t, "roleARN: "+shopRole+"\n")}
			return q
		}},
		{"annotation before flag", func(q question) question { q.Args = []string{"--role-arn", batchRole}; return q.as(shopRole) }},
		{"annotation of the operator's choice", func(q question) question {
			q.Args = []string{"--role-annotation", own}
			return withOwn(q)
		}},
		{"annotation of the file's choice", func(q question) question {
			q.Args = []string{"--config", configFile(t, "roleAnnotations: [absent, "+own+"]\n")}
			return withOwn(q)
		}},
		{"--node-fallback does not matter", func(q question) question { q.Args = []string{"--node-fallback"}; return q.as(shopRole) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.addRole(shopRole, shop)
			token := n.ask(test.ask(n.pod(shop).question(registry+"/app"))).wantCredential(registry, shopRole)
			if want := "arn:aws:sts::123456789012:assumed-role/pull-shop/regcred.shop.web"; token.Principal.ARN != want {
				t.Errorf("the session is %s, want %s", token.Principal.ARN, want)
			}
			if got, want := n.summaries("sts", ""), shopRole+" for "+shop.Subject()+" as regcred.shop.web"; !slices.Equal(got, []string{want}) {
				t.Errorf("STS was asked for %q, want %q", got, want)
			}
			n.WantCalls(askSTS("AssumeRoleWithWebIdentity", stsAPI), askECR(ecrAPI))
		})
	}
}

func TestAPodsTokenIsExchangedInTheRegistrysRegion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ partition, region, host, sts, api string }{
		{"aws", "eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com"},
		{"aws", "us-east-2", "123456789012.dkr.ecr-fips.us-east-2.amazonaws.com", "sts-fips.us-east-2.amazonaws.com", "api.ecr-fips.us-east-2.amazonaws.com"},
		{"aws", "us-east-2", "123456789012.dkr-ecr.us-east-2.on.aws", "sts.us-east-2.api.aws", "ecr.us-east-2.api.aws"},
		{"aws", "us-east-2", "123456789012.dkr-ecr-fips.us-east-2.on.aws", "sts-fips.us-east-2.api.aws", "ecr-fips.us-east-2.api.aws"},
		{"aws-us-gov", "us-gov-west-1", "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com", "api.ecr.us-gov-west-1.amazonaws.com"},
		// In GovCloud the plain endpoint is the validated one.
		{"aws-us-gov", "us-gov-west-1", "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com", "api.ecr-fips.us-gov-west-1.amazonaws.com"},
		{"aws-cn", "cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn"},
		{"aws-cn", "cn-north-1", "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "sts.cn-north-1.api.amazonwebservices.com.cn", "ecr.cn-north-1.api.amazonwebservices.com.cn"},
		{"aws-eusc", "eusc-de-east-1", "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "sts.eusc-de-east-1.amazonaws.eu", "api.ecr.eusc-de-east-1.amazonaws.eu"},
		{"aws-iso", "us-iso-east-1", "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "sts.us-iso-east-1.c2s.ic.gov", "api.ecr.us-iso-east-1.c2s.ic.gov"},
		{"aws-iso-b", "us-isob-east-1", "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "sts.us-isob-east-1.sc2s.sgov.gov", "api.ecr.us-isob-east-1.sc2s.sgov.gov"},
	} {
		t.Run(test.host, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t, test.region)
			role := "arn:" + test.partition + ":iam::123456789012:role/pull"
			n.addRole(role, shop)
			q := n.pod(shop).question(test.host + "/app").as(role)
			q.Env = []string{"AWS_REGION=us-west-1"} // the node's own region does not matter
			n.ask(q).wantCredential(test.host, role)
			n.WantCalls(askSTS("AssumeRoleWithWebIdentity", test.sts), askECR(test.api))
		})
	}
}

func TestAPodPullsFromThePublicRegistryWithItsOwnRole(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.aws.AddRole(aws.Role{ARN: shopRole, Allow: []aws.Action{aws.ECRPublicToken, aws.BearerToken}, Subjects: []string{shop.Subject()}})
	n.ask(n.pod(shop).question(public+"/eks/pause").as(shopRole)).wantCredential(public, shopRole)
	n.WantCalls(askSTS("AssumeRoleWithWebIdentity", stsAPI), askPublic(publicAPI))
}

// A role outside of the commercial partition can have no token.
func TestAPodOfAnotherPartitionPullsFromThePublicRegistryAnonymously(t *testing.T) {
	t.Parallel()
	n := bootNode(t, "us-east-1", "us-gov-west-1")
	const role = "arn:aws-us-gov:iam::123456789012:role/pull-shop"
	n.addRole(role, shop)
	n.ask(n.pod(shop).question(public+"/eks/pause").as(role)).WantNothing(time.Minute, 5*time.Minute)
	n.WantNever("imds PutToken")
}

// A pod without a role gets nothing of the node's, unless the operator said so.
func TestAPodWithoutARole(t *testing.T) {
	t.Parallel()
	t.Run("pulls anonymously from the public registry", func(t *testing.T) {
		t.Parallel()
		n := bootNode(t)
		n.attach(nodeRole, aws.ECRPublicToken, aws.BearerToken)
		n.ask(n.pod(shop).question(public+"/eks/pause")).WantNothing(time.Minute, 5*time.Minute)
		n.WantCalls()
	})
	t.Run("is the node's own: a static pod has no service account", func(t *testing.T) {
		t.Parallel()
		n := bootNode(t)
		n.ask(question{Image: registry + "/app", Args: []string{"--role-arn", shopRole}}).wantCredential(registry, nodeRole)
		n.WantCalls(askIMDS, askECR(ecrAPI))
	})
}
