package ecr_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
)

// The node's identity is found where the AWS SDK finds it.
func TestTheNodesIdentityIsThatOfTheSDKsChain(t *testing.T) {
	t.Parallel()
	const (
		user     = "arn:aws:iam::123456789012:user/ci"
		pullRole = "arn:aws:iam::210987654321:role/pull"
	)
	for _, test := range []struct {
		name string
		// prepare returns the environment.
		prepare   func(n *node) []string
		principal string
		asks      []calls
	}{
		{"instance profile", func(*node) []string { return nil }, nodeRole, []calls{askIMDS, askECR(ecrAPI)}},
		{"instance profile by IPv6", func(n *node) []string {
			if !n.Cloud.IPv6() {
				n.T.Skip("no IPv6 here")
			}
			return []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6", "HTTP_PROXY=http://192.0.2.3:3128"}
		}, nodeRole, []calls{{
			"imds PutToken [fd00:ec2::254]", "imds ListRoles [fd00:ec2::254]", "imds GetRole [fd00:ec2::254]",
		}, askECR(ecrAPI)}},
		{"keys in the environment", func(n *node) []string {
			return environment(n.aws.AddUser(aws.User{ARN: user, Allow: []aws.Action{aws.ECRToken}}))
		}, user, []calls{askECR(ecrAPI)}},
		{"session in the environment", func(n *node) []string {
			n.aws.AddRole(aws.Role{ARN: pullRole, Allow: []aws.Action{aws.ECRToken}})
			session, err := n.aws.AddSession(pullRole, "somebody", time.Hour)
			if err != nil {
				n.T.Fatal(err)
			}
			return environment(session)
		}, pullRole, []calls{askECR(ecrAPI)}},
		{"keys of a profile", func(n *node) []string {
			keys := n.aws.AddUser(aws.User{ARN: user, Allow: []aws.Action{aws.ECRToken}})
			return []string{"AWS_PROFILE=ci", "AWS_SHARED_CREDENTIALS_FILE=" + cloudtest.File(n.T,
				"[ci]\naws_access_key_id = "+keys.AccessKeyID+"\naws_secret_access_key = "+keys.SecretAccessKey+"\n")}
		}, user, []calls{askECR(ecrAPI)}},
		{"profile that assumes a role", func(n *node) []string {
			n.aws.AddRole(aws.Role{ARN: pullRole, Allow: []aws.Action{aws.ECRToken}, Principals: []string{nodeRole}, ExternalID: "shared-secret"})
			return []string{"AWS_PROFILE=ecr", "AWS_CONFIG_FILE=" + cloudtest.File(n.T,
				"[profile ecr]\nrole_arn = "+pullRole+"\ncredential_source = Ec2InstanceMetadata\nexternal_id = shared-secret\nregion = eu-west-1\n")}
		}, pullRole, []calls{askIMDS, askSTS("AssumeRole", stsAPI), askECR(ecrAPI)}},
		{"web identity", func(n *node) []string {
			n.addRole(pullRole, shop)
			return []string{"AWS_ROLE_ARN=" + pullRole, "AWS_WEB_IDENTITY_TOKEN_FILE=" + cloudtest.File(n.T, n.pod(shop).token)}
		}, pullRole, []calls{askSTS("AssumeRoleWithWebIdentity", stsAPI), askECR(ecrAPI)}},
		{"container credentials", func(n *node) []string {
			n.aws.AddRole(aws.Role{ARN: pullRole, Allow: []aws.Action{aws.ECRToken}})
			n.aws.Configure(func(s *aws.Settings) {
				s.Container = aws.ContainerSettings{Role: pullRole, Authorization: "let-me-in"}
			})
			return []string{
				"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials",
				"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + cloudtest.File(n.T, "let-me-in"),
			}
		}, pullRole, []calls{{"container GetCredentials 169.254.170.23"}, askECR(ecrAPI)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			q := question{Image: registry + "/app", Env: test.prepare(n)}
			n.ask(q).wantCredential(registry, test.principal)
			n.WantCalls(test.asks...)
			n.ask(q).wantCredential(registry, test.principal)
			n.WantCalls()
		})
	}
}

func environment(credentials aws.Credentials) []string {
	env := []string{"AWS_ACCESS_KEY_ID=" + credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + credentials.SecretAccessKey}
	if credentials.SessionToken != "" {
		env = append(env, "AWS_SESSION_TOKEN="+credentials.SessionToken)
	}
	return env
}

// A change of the identity's source is a change of the identity.
func TestAnotherIdentityIsNotAnsweredFromTheCache(t *testing.T) {
	t.Parallel()
	const user = "arn:aws:iam::123456789012:user/ci"
	n := bootNode(t)
	n.ask(question{Image: registry + "/app"}).wantCredential(registry, nodeRole)
	keys := n.aws.AddUser(aws.User{ARN: user, Allow: []aws.Action{aws.ECRToken}})
	n.ask(question{Image: registry + "/app", Env: environment(keys)}).wantCredential(registry, user)
}

func TestWithoutAnIdentityTheOperatorIsToldWhatToDo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare func(n *node)
		env     []string
		says    []string
	}{
		{"no instance profile", func(n *node) { n.attach("") }, nil,
			[]string{"imds GetMetadata at 169.254.169.254", "status 404", "attach an instance profile"}},
		{"metadata service turned off", func(n *node) {
			n.aws.Configure(func(s *aws.Settings) { s.Instance.Disabled = true })
		}, nil, []string{"imds ", " at 169.254.169.254", "status 403", "HttpEndpoint"}},
		{"hop limit exceeded", func(n *node) {
			n.aws.Configure(func(s *aws.Settings) { s.Instance.HopLimited = true })
		}, nil, []string{"imds ", "169.254.169.254", "hop limit of 2"}},
		{"metadata service out of order", func(n *node) {
			n.Cloud.Faults.Always("imds", "", cloud.Refusal{Status: http.StatusServiceUnavailable})
		}, nil, []string{"imds ", "169.254.169.254", "status 503"}},
		{"role that EC2 cannot assume", func(n *node) {
			n.aws.Configure(func(s *aws.Settings) { s.Instance.CredentialsCode = "AssumeRoleUnauthorizedAccess" })
		}, nil, []string{"AssumeRoleUnauthorizedAccess", "instance profile"}},
		{"metadata not to be asked", func(*node) {}, []string{"AWS_EC2_METADATA_DISABLED=true"}, []string{"AWS_EC2_METADATA_DISABLED is set", "AWS_PROFILE"}},
		{"profile that does not exist", func(*node) {}, []string{"AWS_PROFILE=absent", "AWS_CONFIG_FILE=/dev/null"}, []string{"absent"}},
		{"web identity file that does not exist", func(*node) {},
			[]string{"AWS_WEB_IDENTITY_TOKEN_FILE=/absent", "AWS_ROLE_ARN=" + shopRole}, []string{"/absent"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			test.prepare(n)
			a := n.ask(question{Image: registry + "/app", Env: test.env})
			a.WantFailure(1, append(test.says, registry, "the node's identity")...)
			// What accepts a connection is waited for.
			a.WantWithin(cloudtest.Patience)
			if n.Cloud.Calls.Count("ecr", "") != 0 {
				t.Error("ECR was asked without an identity")
			}
		})
	}
}

// The first seconds of an instance are without credentials.
func TestARoleThatIsAttachedLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(n *node){
		"not found": func(n *node) {
			n.Cloud.Faults.First(2, "imds", "ListRoles", cloud.Refusal{Status: http.StatusNotFound})
		},
		"empty list": func(n *node) { n.aws.Configure(func(s *aws.Settings) { s.Instance.EmptyLists = 2 }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			prepare(n)
			n.ask(question{Image: registry + "/app"}).wantCredential(registry, nodeRole)
			if lists := n.Cloud.Calls.Count("imds", "ListRoles"); lists != 3 {
				t.Errorf("the roles were listed %d times, want 3", lists)
			}
		})
	}
}

// What passes by itself is no failure of the node's identity.
func TestAHiccupOfTheMetadataServicePasses(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]cloud.Fault{
		"throttled":    cloud.Refusal{Status: http.StatusTooManyRequests},
		"server error": cloud.Refusal{Status: http.StatusInternalServerError},
		"reset":        cloud.Reset{},
	} {
		for _, operation := range []string{"PutToken", "ListRoles", "GetRole"} {
			t.Run(name+"/"+operation, func(t *testing.T) {
				t.Parallel()
				n := bootNode(t)
				n.Cloud.Faults.First(1, "imds", operation, fault)
				n.ask(question{Image: registry + "/app"}).wantCredential(registry, nodeRole)
				if asked := n.Cloud.Calls.Count("imds", operation); asked != 2 {
					t.Errorf("%s was asked %d times, want 2", operation, asked)
				}
			})
		}
	}
}

// Version 1 is a request without a token: the fake calls it a violation, which
// fails every test of this package. Here the token is what is refused.
func TestVersion1OfTheMetadataServiceIsNeverUsed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.Cloud.Faults.Always("imds", "PutToken", cloud.Refusal{Status: status})
			env := []string{"AWS_EC2_METADATA_V1_DISABLED=false"}
			n.ask(question{Image: registry + "/app", Env: env}).WantFailure(1, "imds ")
			n.WantNever("imds ListRoles", "imds GetRole", "imds GetMetadata")
		})
	}
}

// A node whose credentials are rotated while they are read asks for them again.
func TestCredentialsThatWereJustRotatedAreReadAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"ExpiredTokenException", "UnrecognizedClientException"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.Cloud.Faults.First(1, "ecr", "", cloud.Refusal{Status: http.StatusBadRequest, Code: code})
			n.ask(question{Image: registry + "/app"}).wantCredential(registry, nodeRole)
			n.WantCalls(askIMDS, askECR(ecrAPI), askIMDS, askECR(ecrAPI))
		})
	}
}

func TestCredentialsThatHaveExpiredAreNamed(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	session, err := n.aws.AddSession(nodeRole, "yesterday", -time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a := n.ask(question{Image: registry + "/app", Env: environment(session)})
	a.WantFailure(1, "ecr GetAuthorizationToken at "+ecrAPI, "ExpiredTokenException", "check where they come from")
	for _, secret := range []string{session.SecretAccessKey, session.SessionToken} {
		if strings.Contains(a.Stderr, secret) {
			t.Error("a secret is on stderr")
		}
	}
}
