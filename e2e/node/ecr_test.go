package node_test

import (
	"fmt"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/node/registry"
)

const ecrNodeRole = "arn:aws:iam::123456789012:role/instance"

// Each region has its own tokens, so each case has a region of its own, and
// one has two.
var ecrRegions = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
	"eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1",
	"ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2",
}

// ecr is an AWS account whose node may ask for tokens of ECR.
type ecr struct {
	calls    *cloud.Calls
	aws      *aws.Fake
	policies registry.Policies
}

func placeECR(c *cloud.Cloud) (account, error) {
	e := &ecr{calls: c.Calls, aws: aws.New(c.Calls, c.Faults)}
	if err := e.aws.Place(c, ecrRegions...); err != nil {
		return nil, err
	}
	e.aws.AddRole(aws.Role{ARN: ecrNodeRole, Allow: []aws.Action{aws.ECRToken}})
	e.regainIdentity()

	var private []string
	for number := range ecrRegions {
		private = append(private, e.registry(number))
	}
	return e, registry.Place(c,
		registry.Front{Hosts: private, Login: registry.ECR(e.aws, &e.policies, time.Now)},
		registry.Front{Hosts: []string{"public.ecr.aws"}, Login: registry.ECRPublic(e.aws, time.Now)},
	)
}

func (e *ecr) registry(number int) string {
	return fmt.Sprintf("123456789012.dkr.ecr.%s.amazonaws.com", ecrRegions[number])
}

func (e *ecr) lookAlike() string { return e.registry(0) + ".evil.com" }

// The node has no right to a token of the public registry.
func (e *ecr) public(name string) (image string, asNode bool) {
	return "public.ecr.aws/docker/library/" + name + ":v1", false
}

func (e *ecr) nodeMayRead(image string) { e.policies.Allow(repository(image), ecrNodeRole) }

func (e *ecr) workload(namespace, name string) map[string]string {
	role := ecrRole(namespace, name)
	e.aws.AddRole(aws.Role{
		ARN:      role,
		Allow:    []aws.Action{aws.ECRToken},
		Subjects: []string{"system:serviceaccount:" + namespace + ":" + name},
	})
	return map[string]string{"eks.amazonaws.com/ecr-role-arn": role}
}

func (e *ecr) workloadMayRead(namespace, name, image string) {
	e.policies.Allow(repository(image), ecrRole(namespace, name))
}

func ecrRole(namespace, name string) string {
	return "arn:aws:iam::123456789012:role/" + namespace + "-" + name
}

func (e *ecr) refusal(namespace, name string) string {
	return fmt.Sprintf("assumed-role/%s-%s/regcred.%[1]s.%[2]s is not authorized to perform: ecr:BatchGetImage", namespace, name)
}

func (e *ecr) issuer() *oidc.Issuer { return e.aws.Issuer }

func (e *ecr) fetches() int { return e.calls.Count("ecr", "GetAuthorizationToken") }

func (e *ecr) tokensLive(life time.Duration) {
	e.aws.Configure(func(s *aws.Settings) { s.Token.Life = life })
}

func (e *ecr) slowDown(faults *cloud.Faults, delay time.Duration) {
	faults.Always("ecr", "GetAuthorizationToken", cloud.Slow{Delay: delay})
}

func (e *ecr) goDown(faults *cloud.Faults) {
	for _, service := range []string{"imds", "sts", "ecr", "ecr-public"} {
		faults.Always(service, "", cloud.Reset{})
	}
}

func (e *ecr) loseIdentity() []string {
	e.aws.Configure(func(s *aws.Settings) { s.Instance.Role = "" })
	return []string{"imds: GetMetadata at 169.254.169.254: status 404", "attach an instance profile to the node"}
}

func (e *ecr) regainIdentity() {
	e.aws.Configure(func(s *aws.Settings) { s.Instance.Role = ecrNodeRole })
}
