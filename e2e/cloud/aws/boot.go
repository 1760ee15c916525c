package aws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

const (
	// NodeRole is attached to the instance that Boot boots.
	NodeRole = "arn:aws:iam::123456789012:role/instance"
	// RoleAnnotation is where a service account names its role.
	RoleAnnotation = "eks.amazonaws.com/ecr-role-arn"
)

// bootRegions are where a booted node has registries. Each region has tokens of
// its own.
var bootRegions = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
	"eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1",
	"ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2",
	"ap-northeast-3", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-east-1", "ca-west-1",
	"eu-central-2", "eu-south-1", "eu-south-2", "me-south-1", "me-central-1", "af-south-1", "il-central-1",
}

// Kind boots instances of EC2.
func Kind() fake.Kind { return fake.NewKind("aws", "ecr-credential-provider", Boot) }

// Boot starts an instance whose role may ask for tokens of private registries.
// Service accounts have a role that trusts them
// alone.
func Boot(c *cloud.Cloud) (*Fake, *fake.Node, error) {
	f := New(c.Calls, c.Faults)
	if err := f.Place(c, bootRegions...); err != nil {
		return nil, nil, err
	}
	attach := func(role string) { f.Configure(func(s *Settings) { s.Instance.Role = role }) }
	f.AddRole(Role{ARN: NodeRole, Allow: []Action{ECRToken}})
	attach(NodeRole)

	ask := []string{"ecr GetAuthorizationToken api.ecr.us-east-1.amazonaws.com"}
	identity := func(role string, way ...string) fake.Identity {
		calls := slices.Concat(way, ask)
		return fake.Identity{Owner: role, Calls: calls, Refresh: calls, Fetch: "ecr GetAuthorizationToken"}
	}
	registry := func(number int) string { return "123456789012.dkr.ecr." + bootRegions[number] + ".amazonaws.com" }
	return f, &fake.Node{
		Kind:       Kind(),
		Cloud:      c,
		Issuer:     f.Issuer,
		Registry:   registry,
		Repository: "team/app",
		Public:     "public.ecr.aws/docker/library/busybox",
		LookAlike:  registry(0) + ".evil.com",
		Username:   "AWS",
		Whose:      f.whose,
		Secrets:    f.secrets,
		Machine: identity(NodeRole,
			"imds PutToken 169.254.169.254", "imds ListRoles 169.254.169.254", "imds GetRole 169.254.169.254"),
		Workload: func(accounts ...oidc.ServiceAccount) fake.Identity {
			role := "arn:aws:iam::123456789012:role/" + accounts[0].Namespace + "-" + accounts[0].Name
			f.AddRole(Role{ARN: role, Allow: []Action{ECRToken}, Subjects: oidc.Subjects(accounts)})
			own := identity(role, "sts AssumeRoleWithWebIdentity sts.us-east-1.amazonaws.com")
			own.Annotations = map[string]string{RoleAnnotation: role}
			return own
		},
		Audience: stsAudience,
		Services: []string{"imds", "container", serviceSTS, serviceECR, serviceECRPublic},
		Local:    []string{"imds", "container"},
		Endpoints: []fake.Endpoint{
			{Name: "169.254.169.254", What: "instance metadata, version 2"},
			{Name: "sts.REGION.amazonaws.com", What: "STS, and its other names"},
			{Name: "api.ecr.REGION.amazonaws.com", What: "ECR, and its other names"},
			{Name: "api.ecr-public.us-east-1.amazonaws.com", What: "ECR Public"},
		},
		Denied: Denied("arn:aws:sts::123456789012:assumed-role/instance/"+instanceID, ECRToken),
		Live:   func(life time.Duration) { f.Configure(func(s *Settings) { s.Token.Life = life }) },
		Clock:  func(ahead time.Duration) { f.Configure(func(s *Settings) { s.Clock = ahead }) },
		Lose: func() []string {
			attach("")
			return []string{"imds", "169.254.169.254", "404", "attach an instance profile"}
		},
		Regain: func() { attach(NodeRole) },
	}, nil
}

// whose is the role or user whose password a registry is given.
func (f *Fake) whose(image, username, password string) (string, error) {
	host, _, _ := strings.Cut(image, "/")
	token, ok := f.Token(password)
	switch {
	case username != "AWS":
		return "", fmt.Errorf("aws: the user is %q", username)
	case !ok:
		return "", errors.New("aws: not a password of AWS's")
	case !f.Now().Before(token.Expires):
		return "", errors.New("aws: the password has expired")
	case token.Service == serviceECR && !strings.Contains(strings.ToLower(host), "."+token.Region+"."):
		return "", fmt.Errorf("aws: the password is for registries in %s, not for %s", token.Region, host)
	}
	return token.Principal.policyOwner(), nil
}

// secrets is all that the fake has issued.
func (f *Fake) secrets() []string {
	all := slices.Concat(f.passwords.Secrets(), f.metadata.Secrets())
	for _, id := range f.identities.holders.Secrets() {
		held, _ := f.identities.holders.Find(id)
		if all = append(all, held.SecretAccessKey); held.SessionToken != "" {
			all = append(all, held.SessionToken)
		}
	}
	return all
}
