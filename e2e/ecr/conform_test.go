package ecr_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

func TestConform(t *testing.T) {
	t.Parallel()
	const (
		loud       = "123456789012.DKR.ECR.us-east-1.AmazonAWS.com"
		pullRole   = "arn:aws:iam::210987654321:role/pull"
		externalID = "tenant-7"
	)
	cloudtest.Conform(t, cloudtest.Suite[*aws.Fake]{
		Boot:    aws.Boot,
		Config:  "ECRCredentialProviderConfig",
		Foreign: notECR,
		Tempting: map[string]fake.Question{
			"a region and endpoints": {Env: []string{
				"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
				"AWS_ENDPOINT_URL_ECR=https://" + ecrAPI, "AWS_ENDPOINT_URL=https://" + ecrAPI,
			}},
		},
		// Pull-through caches serve images under paths that name registries.
		Images: map[string]string{
			registry + "/public.ecr.aws/x":             registry,
			registry + "/docker-hub/library/nginx":     registry,
			registry + "/registry.k8s.io/pause:3.10":   registry,
			loud + "/app":                              loud,
			loud + ":443/app":                          loud + ":443",
			"mirror.example.com/" + registry + "/app":  "",
			"public.ecr.aws.example.com/" + public:     "",
			"registry.example.com/dkr.ecr.us-east-1/x": "",
		},
		Malformed: []string{registry + "/ROOT/app", registry + "/ecr/" + registry + "/"},
		Shared:    []string{"210987654321.dkr.ecr.us-east-1.amazonaws.com"},
		Ways: []cloudtest.Way[*aws.Fake]{
			{
				Name:  "role of an account",
				Calls: slices.Concat(askIMDS, askSTS("AssumeRole", stsAPI), askECR(ecrAPI)),
				Go: func(n *cloudtest.Node[*aws.Fake]) cloudtest.Errand {
					n.Fake.AddRole(aws.Role{ARN: pullRole, Allow: []aws.Action{aws.ECRToken}, Principals: []string{aws.NodeRole}, ExternalID: externalID})
					return cloudtest.Errand{
						Question: n.Own("--account", "123456789012="+pullRole+"#"+externalID), Owner: pullRole,
					}
				},
			},
			{
				Name:  "session in the environment",
				Calls: askECR(ecrAPI),
				Go: func(n *cloudtest.Node[*aws.Fake]) cloudtest.Errand {
					session, err := n.Fake.AddSession(aws.NodeRole, "somebody", time.Hour)
					if err != nil {
						n.T.Fatal(err)
					}
					q := n.Own()
					q.Env = append(q.Env, environment(session)...)
					return cloudtest.Errand{Question: q, Owner: aws.NodeRole, Secrets: []string{session.SecretAccessKey, session.SessionToken}}
				},
			},
			{
				Name:  "container credentials",
				Calls: slices.Concat(cloudtest.Calls{"container GetCredentials 169.254.170.23"}, askECR(ecrAPI)),
				Go: func(n *cloudtest.Node[*aws.Fake]) cloudtest.Errand {
					const authorization = "let-me-in-to-the-containers-credentials"
					n.Fake.Configure(func(s *aws.Settings) {
						s.Container = aws.ContainerSettings{Role: aws.NodeRole, Authorization: authorization}
					})
					q := n.Own()
					q.Env = append(q.Env, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials",
						"AWS_CONTAINER_AUTHORIZATION_TOKEN="+authorization)
					return cloudtest.Errand{Question: q, Owner: aws.NodeRole, Secrets: []string{authorization}}
				},
			},
			{
				Name:  "web identity",
				Calls: slices.Concat(askSTS("AssumeRoleWithWebIdentity", stsAPI), askECR(ecrAPI)),
				Go: func(n *cloudtest.Node[*aws.Fake]) cloudtest.Errand {
					n.Fake.AddRole(aws.Role{ARN: pullRole, Allow: []aws.Action{aws.ECRToken}, Subjects: []string{shop.Subject()}})
					token := n.Token(shop, stsAudience, time.Hour)
					q := n.Own()
					q.Env = append(q.Env, "AWS_ROLE_ARN="+pullRole, "AWS_WEB_IDENTITY_TOKEN_FILE="+cloudtest.File(n.T, token))
					return cloudtest.Errand{Question: q, Owner: pullRole, Secrets: []string{token[strings.LastIndex(token, ".")+1:]}}
				},
			},
		},
		Refused: []cloudtest.Refused[*aws.Fake]{
			{Name: "the role of somebody else", Says: []string{"status 403 AccessDenied", "trust policy", shopRole, "system:serviceaccount:shop:web"},
				Ask: func(n *cloudtest.Node[*aws.Fake]) cloudtest.Question {
					n.Fake.AddRole(aws.Role{ARN: shopRole, Allow: []aws.Action{aws.ECRToken}, Subjects: []string{batch.Subject()}})
					return n.Pod(shop, as(shopRole))
				}},
			{Name: "a role that does not exist", Says: []string{"status 403 AccessDenied", "trust policy", shopRole},
				Ask: func(n *cloudtest.Node[*aws.Fake]) cloudtest.Question { return n.Pod(shop, as(shopRole)) }},
			{Name: "a cluster without a provider", Says: []string{"InvalidIdentityToken", "create the cluster's IAM OIDC provider"},
				Ask: struck("sts", cloud.Refusal{Status: 400, Code: "InvalidIdentityToken",
					Message: "No OpenIDConnect provider found in your account for https://oidc.example.com"})},
			{Name: "a rejected claim", Says: []string{"status 403 IDPRejectedClaim", "serviceAccountTokenAudience"},
				Ask: struck("sts", cloud.Refusal{Status: 403, Code: "IDPRejectedClaim", Message: "The claim was rejected"})},
			{Name: "a region without STS", Says: []string{"status 403 RegionDisabledException", "activate STS in region us-east-1"},
				Ask: struck("sts", cloud.Refusal{Status: 403, Code: "RegionDisabledException", Message: "STS is not activated in this region"})},
		},
		RefusedSays: map[string][]string{
			"a token for another audience": {"InvalidIdentityToken", "audience"},
			"an expired token":             {"ExpiredToken"},
			"a token of another cluster":   {"InvalidIdentityToken"},
		},
		Insists: true,
		Nameless: []cloudtest.Nameless{
			{Name: "a pod of an account with a role", Args: []string{"--account", "210987654321=" + pullRole}, Says: []string{roleAnnotation, "--role-arn"}},
		},
		Annotations: map[string][]string{roleAnnotation: {
			"pull-shop",
			"arn:aws:iam::123456789012:user/ci",
			"arn:aws:iam::12345678901:role/pull",
			"arn:aws:iam::123456789012:role/",
			"arn:aws:iam::123456789012:role/pull shop",
			"arn:aws:iam::123456789012:role/pull\nshop",
			"arn:aws:iam:us-east-1:123456789012:role/pull",
			"arn:aws:sts::123456789012:assumed-role/pull/x",
			"arn:evil:iam::123456789012:role/pull",
			"arn:aws-cn:iam::123456789012:role/pull", // not the partition of the registry
		}},
		Commands: [][]string{
			{"get-credentials"},
			{"get-credentials", "--v=2"},
			{"get-credentials", "--v=2", "--logtostderr"},
			{"--v=4", "get-credentials", "--logtostderr=true", "--skip_headers", "--stderrthreshold=2", "--vmodule=a=1"},
			{"get-credentials", "-v", "5", "--alsologtostderr", "--log_dir=/tmp"},
		},
		Help: []string{`"*.dkr.ecr.*.amazonaws.com"`, "public.ecr.aws", "--role-arn", "$AWS_ECR_ROLE_ARN", "--account"},
		Mistakes: []cloudtest.Mistake{
			{Name: "unknown field of this plugin", Config: "rolARN: x\n", Says: "rolARN"},
			{Name: "account without a role", Args: []string{"--account", "210987654321"}, Says: "account"},
			{Name: "account that is none", Args: []string{"--account", "21098765432=" + pullRole}, Says: "account"},
			{Name: "account with a user", Args: []string{"--account", "210987654321=arn:aws:iam::210987654321:user/pull"}, Says: "account"},
			{Name: "external ID that is none", Args: []string{"--account", "210987654321=" + pullRole + "#a!b"}, Says: "account"},
			{Name: "external ID too short", Args: []string{"--account", "210987654321=" + pullRole + "#a"}, Says: "account"},
		},
	})
}

// as is an identity that a service account's annotation names.
func as(role string) fake.Identity {
	return fake.Identity{Annotations: map[string]string{roleAnnotation: role}}
}

// struck is a pod of a cloud whose service refuses everybody.
func struck(service string, fault cloud.Fault) func(*cloudtest.Node[*aws.Fake]) cloudtest.Question {
	return func(n *cloudtest.Node[*aws.Fake]) cloudtest.Question {
		n.Cloud.Faults.Always(service, "", fault)
		return n.Pod(shop, n.Workload(shop))
	}
}
