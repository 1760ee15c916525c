package ecr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"regcred/plugins/plugintest"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/image"
)

// replied is a transport of one answer, or of none.
type replied struct {
	status int
	header http.Header
	body   string
	err    error
}

func (r replied) RoundTrip(*http.Request) (*http.Response, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.header == nil {
		r.header = http.Header{}
	}
	return respond(r.status, r.header, r.body), nil
}

// after returns an attempt of a source after a host replied.
func after(t *testing.T, s *source, host string, reply replied) *attempt {
	t.Helper()
	a := newAttempt(t.Context(), s)
	a.recorder.Next = reply
	if host == "" {
		return a
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = a.recorder.Do(request)
	return a
}

func sourceOf(t *testing.T, host string, i identity, env ...string) *source {
	t.Helper()
	r, err := image.ParseRegistry(host)
	if err != nil {
		t.Fatal(err)
	}
	parsed, ok := parseRegistry(r)
	if !ok {
		t.Fatalf("%s is not ECR's", host)
	}
	return &source{registry: parsed, identity: i, endpoints: newEndpoints("", plugintest.Getenv(env...))}
}

const someHost = "123456789012.dkr.ecr.us-east-1.amazonaws.com"

// failing wraps an error as the SDK's layers do.
func failing(service, operation string, err error) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: err}
}

func refusal(code string) error { return saying(code, "no") }

func saying(code, text string) error { return &smithy.GenericAPIError{Code: code, Message: text} }

// atECR and the others are errors of the SDK as its layers wrap them.
func atECR(err error) error { return failing("ECR", getToken, err) }

func atSTS(operation string, err error) error { return atECR(failing("STS", operation, err)) }

func atIMDS(err error) error {
	return atECR(fmt.Errorf("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, %w", failing("ec2imds", "GetMetadata", err)))
}

// atIMDSToken is of an operation that the SDK's error does not unwrap to.
func atIMDSToken(err error) error {
	return atIMDS(fmt.Errorf("failed to get API token, %w", errors.New(failing("ec2imds", imdsToken, err).Error())))
}

func inChain(text string) error {
	return atECR(errors.New("get identity: get credentials: failed to refresh cached credentials, " + text))
}

func TestWhatAFailureMeans(t *testing.T) {
	unreachable := &net.OpError{Op: "dial", Err: errors.New("no route to host")}
	for name, tc := range map[string]struct {
		err       error
		host      string
		reply     replied
		permanent bool
		wait      time.Duration
		want      []string
	}{
		"refused": {
			err: atECR(refusal("AccessDeniedException")), host: "api.ecr", reply: replied{status: 400}, permanent: true,
			want: []string{"[ecr GetAuthorizationToken at api.ecr: status 400 AccessDeniedException: no; as the node's identity]"},
		},
		"throttled": {
			err: atECR(refusal("ThrottlingException")), host: "api.ecr", reply: replied{status: 400, header: http.Header{"Retry-After": {"7"}}}, wait: 7 * time.Second,
			want: []string{"AWS throttles this account"},
		},
		"at fault": {err: atECR(refusal("ServerException")), host: "api.ecr", reply: replied{status: 500}, want: []string{"AWS has a fault"}},
		"the inner failure counts": {
			err: atSTS("AssumeRole", refusal("AccessDenied")), host: "sts", reply: replied{status: 403}, permanent: true,
			want: []string{"[sts AssumeRole at sts: status 403 AccessDenied: no"},
		},
		"no role": {
			err: atIMDS(errors.New("x")), host: imdsAddress, reply: replied{status: 404}, permanent: true,
			want: []string{"the instance has no role: attach an instance profile to the node", "[imds GetMetadata at 169.254.169.254: status 404: x; as the node's identity]"},
		},
		"metadata throttled":  {err: atIMDS(errors.New("x")), host: imdsAddress, reply: replied{status: 429}, want: []string{"the instance metadata service throttles requests"}},
		"no metadata service": {err: atIMDS(errors.New("x")), host: imdsAddress, reply: replied{err: unreachable}, permanent: true, want: []string{"there is nothing at 169.254.169.254, where the instance metadata service would be"}},
		"unreachable":         {err: atECR(errors.New("x")), host: "api.ecr", reply: replied{err: unreachable}, want: []string{"api.ecr cannot be reached: check the node's route, firewall and proxy for api.ecr"}},
		"a code without a text": {
			err: atECR(saying("Teapot", "")), host: "api.ecr", reply: replied{status: 418}, want: []string{"AWS refuses the request [", "status 418 Teapot"},
		},
		"no answer of AWS": {
			err: badAnswer("ECR", getToken, "the answer holds no authorization data"), host: "api.ecr", reply: replied{status: 200},
			want: []string{"the answer of api.ecr makes no sense", "[ecr GetAuthorizationToken at api.ecr: the answer holds no authorization data;"},
		},
		"a token of the past": {
			err: badAnswerError("ECR", getToken, fmt.Errorf("%w, at x", credential.ErrExpired)), host: "api.ecr", reply: replied{status: 200},
			want: []string{"the token that ECR answered with has already expired: check the node's clock"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := after(t, sourceOf(t, someHost, identity{}), tc.host, tc.reply)
			failure := a.diagnose(tc.err).explain()
			if failure.Permanent != tc.permanent || failure.RetryAfter != tc.wait {
				t.Errorf("permanent %t, again after %s", failure.Permanent, failure.RetryAfter)
			}
			wantText(t, failure, tc.want...)
			if strings.Contains(failure.Error(), "status 200") {
				t.Errorf("status 200 in %q", failure)
			}
			if !errors.Is(failure, tc.err) {
				t.Errorf("%v is not the cause of %v", tc.err, failure)
			}
		})
	}
}

func wantText(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %q, want %q", err, part)
		}
	}
	if len(err.Error()) > 600 {
		t.Errorf("%d characters: %q", len(err.Error()), err)
	}
}

// What STS refuses of a token is several things, which its text tells apart.
func TestAdviceAboutTokens(t *testing.T) {
	pod := plugintest.Pod(t, "sa", "u", "p")
	other := *pod
	other.Audiences = []string{"vault"}
	pod.Audiences = []string{stsAudience}
	role, err := parseRole(pullRole)
	if err != nil {
		t.Fatal(err)
	}
	const key = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	for name, tc := range map[string]struct {
		identity identity
		code     string
		text     string
		want     string
		never    string
	}{
		"audience that the provider does not list": {
			identity{pod: pod, role: role}, "InvalidIdentityToken", "Incorrect token audience",
			"AWS does not take the audience of the token of service account prod/sa, sts.amazonaws.com: the IAM OIDC provider of issuer https://issuer has to list it", "serviceAccountTokenAudience",
		},
		"another audience": {
			identity{pod: &other, role: role}, "InvalidIdentityToken", "Incorrect token audience",
			"prod/sa, vault: it has to be sts.amazonaws.com (the kubelet's serviceAccountTokenAudience), and the IAM OIDC provider of issuer https://issuer has to list that", "",
		},
		"keys out of reach": {
			identity{pod: pod, role: role}, "InvalidIdentityToken", key,
			"AWS cannot get the keys of issuer https://issuer: its /.well-known/openid-configuration and the keys that this names have to be reachable from the internet", "create",
		},
		"thumbprint": {
			identity{pod: pod, role: role}, "InvalidIdentityToken", "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint",
			"update the thumbprints of the provider in the role's account 123456789012", "create",
		},
		"no provider": {
			identity{pod: pod, role: role}, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://issuer",
			"there is no IAM OIDC provider for issuer https://issuer: create the cluster's IAM OIDC provider in the role's account 123456789012", "",
		},
		"not valid yet": {
			identity{pod: pod, role: role}, "InvalidIdentityToken", "Token is not yet valid",
			"the token of service account prod/sa is not valid yet: check the clock", "create",
		},
		"anything else": {
			identity{pod: pod, role: role}, "InvalidIdentityToken", "Missing a required claim: sub",
			"AWS refuses the token of service account prod/sa [sts AssumeRoleWithWebIdentity at sts: status 400 InvalidIdentityToken: Missing a required claim: sub", ": create",
		},
		"the node's": {
			identity{}, "InvalidIdentityToken", "Incorrect token audience",
			"AWS does not take the audience of the web identity token of the node", "service account",
		},
		"expired": {
			identity{pod: pod, role: role}, "ExpiredTokenException", "Token expired: current date/time 2 must be before the expiration date/time 1",
			"the token of service account prod/sa has expired: the kubelet renews it by the node's clock", "credentials",
		},
		"the node's expired": {
			identity{}, "ExpiredTokenException", "Token expired: current date/time 2 must be before the expiration date/time 1",
			"the web identity token of the node has expired: check what renews the file that AWS_WEB_IDENTITY_TOKEN_FILE names", "kubelet",
		},
		"role that does not exist": {
			identity{pod: pod, role: role}, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity",
			"the role does not exist, or does not trust service account prod/sa: the role's trust policy has to allow sts:AssumeRoleWithWebIdentity for issuer https://issuer with subject system:serviceaccount:prod:sa and audience sts.amazonaws.com", "",
		},
		"the node's role that does not exist": {
			identity{}, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity",
			"the role does not exist, or does not trust the web identity token of the node: check AWS_ROLE_ARN", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := after(t, sourceOf(t, someHost, tc.identity), "sts", replied{status: 400})
			failure := a.diagnose(atSTS(withWebIdentity, saying(tc.code, tc.text))).explain()
			wantText(t, failure, tc.want)
			if !failure.Permanent {
				t.Error("not permanent")
			}
			if tc.never != "" && strings.Contains(failure.Problem+failure.Advice, tc.never) {
				t.Errorf("%q is in %q", tc.never, failure)
			}
		})
	}
}

// Each kind of policy can be what denies something, and AWS says which.
func TestAdviceAboutPolicies(t *testing.T) {
	const user = "User: arn:aws:sts::123456789012:assumed-role/node/i-1 is not authorized to perform: ecr:GetAuthorizationToken on resource: * "
	pulling, err := parseRole(otherRole)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		err  error
		i    identity
		want string
	}{
		"no policy allows it":           {err: atECR(saying("AccessDeniedException", user+"because no identity-based policy allows the ecr:GetAuthorizationToken action")), want: "AWS does not allow ecr:GetAuthorizationToken to the node's identity: grant ecr:GetAuthorizationToken"},
		"service control policy":        {err: atECR(saying("AccessDeniedException", user+"with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o/p")), want: "a service control policy does not allow ecr:GetAuthorizationToken to the node's identity: change the service control policy of the organization"},
		"implicitly":                    {err: atECR(saying("AccessDeniedException", user+"because no service control policy allows the ecr:GetAuthorizationToken action")), want: "change the service control policy of the organization"},
		"permissions boundary":          {err: atECR(saying("AccessDeniedException", user+"because no permissions boundary allows the ecr:GetAuthorizationToken action")), want: "change the permissions boundary of the role"},
		"session policy":                {err: atECR(saying("AccessDeniedException", user+"because no session policy allows the ecr:GetAuthorizationToken action")), want: "change the session policy with which"},
		"VPC endpoint policy":           {err: atECR(saying("AccessDeniedException", user+"because no VPC endpoint policy allows the ecr:GetAuthorizationToken action")), want: "change the VPC endpoint policy of the endpoint in the node's VPC"},
		"the identity's own":            {err: atECR(saying("AccessDeniedException", user+"with an explicit deny in an identity-based policy")), want: "a policy denies ecr:GetAuthorizationToken to the node's identity: remove the Deny"},
		"the public registry's other":   {err: failing("ECR PUBLIC", getToken, saying("AccessDeniedException", "is not authorized to perform: sts:GetServiceBearerToken on resource: * because no permissions boundary allows")), want: "a permissions boundary does not allow sts:GetServiceBearerToken"},
		"the public registry":           {err: failing("ECR PUBLIC", getToken, saying("AccessDeniedException", "no")), want: "AWS does not allow ecr-public:GetAuthorizationToken to the node's identity: grant ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"},
		"a role without an external ID": {err: atSTS("AssumeRole", refusal("AccessDenied")), i: identity{role: pulling}, want: "the role does not exist, or does not trust the node: the role's trust policy has to allow the node's role, without an external ID"},
		"a role with one":               {err: atSTS("AssumeRole", refusal("AccessDenied")), i: identity{role: pulling, externalID: "id"}, want: "with the configured external ID, and the node's role needs sts:AssumeRole on it"},
		"the role of a profile":         {err: atSTS("AssumeRole", refusal("AccessDenied")), want: "the role of the profile does not exist, or does not trust the caller"},
	} {
		t.Run(name, func(t *testing.T) {
			a := after(t, sourceOf(t, someHost, tc.i), "aws", replied{status: 400})
			failure := a.diagnose(tc.err).explain()
			wantText(t, failure, tc.want)
			if strings.Contains(tc.err.Error(), "policy") && name != "no policy allows it" && strings.Contains(failure.Advice, "grant") {
				t.Errorf("a permission is to be granted in %q", failure)
			}
		})
	}
}

func TestAdviceAboutKeys(t *testing.T) {
	const mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	header := errors.New(`net/http: invalid header field value for "Authorization"`)
	for name, tc := range map[string]struct {
		err   error
		reply replied
		env   []string
		want  string
		never string
	}{
		"wrong key": {
			err: atECR(saying("InvalidSignatureException", mismatch)), reply: replied{status: 400},
			want: "the secret access key does not belong to the access key: correct the key where it is set, or the white space around it", never: "clock",
		},
		"wrong key at STS": {
			err: atSTS("AssumeRole", saying("SignatureDoesNotMatch", mismatch)), reply: replied{status: 403},
			want: "the secret access key does not belong to the access key", never: "clock",
		},
		"white space": {
			err: atECR(saying("InvalidSignatureException", mismatch)), reply: replied{status: 400}, env: []string{"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=abc/+ "},
			want: "there is white space in AWS_SECRET_ACCESS_KEY", never: "abc",
		},
		"clock behind":   {err: atECR(saying("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z (20260101T011500Z - 15 min.)")), reply: replied{status: 400}, want: "check the node's clock", never: "key"},
		"clock ahead":    {err: atSTS("AssumeRole", saying("SignatureDoesNotMatch", "Signature not yet current: 20260101T020000Z is still later than 20260101T011500Z")), reply: replied{status: 403}, want: "check the node's clock", never: "key"},
		"another region": {err: atSTS("AssumeRole", saying("SignatureDoesNotMatch", "Credential should be scoped to a valid region, not 'us-west-2'.")), reply: replied{status: 403}, want: "the request was signed for another region than that of aws: set AWS_REGION", never: "clock"},
		"a key id with an end of line": {
			err: atECR(header), reply: replied{err: header}, env: []string{"AWS_ACCESS_KEY_ID=AKIA\n", "AWS_SECRET_ACCESS_KEY=abc"},
			want: "AWS_ACCESS_KEY_ID holds an end of line or another character that no key has: correct it where it is set", never: "route",
		},
		"one that a profile has": {err: atECR(header), reply: replied{err: header}, want: "the access key or the session token holds an end of line", never: "DNS"},
		"ended":                  {err: atECR(refusal("ExpiredTokenException")), reply: replied{status: 400}, want: "the session that the AWS credentials belong to has ended: check where they come from"},
		"unreadable": {
			err: atECR(refusal("IncompleteSignatureException")), reply: replied{status: 400}, env: []string{"AWS_ACCESS_KEY_ID=AKIA ", "AWS_SECRET_ACCESS_KEY=abc"},
			want: "AWS cannot read the request's signature: there is white space in AWS_ACCESS_KEY_ID", never: "clock",
		},
		"unreadable, in a profile": {err: atSTS("AssumeRole", refusal("IncompleteSignature")), reply: replied{status: 400}, want: "AWS cannot read the request's signature: correct the key where it is set"},
		"none":                     {err: atECR(refusal("MissingAuthenticationTokenException")), reply: replied{status: 400}, want: "no [ecr GetAuthorizationToken at aws: status 400 MissingAuthenticationTokenException;"},
		"unknown":                  {err: atECR(refusal("UnrecognizedClientException")), reply: replied{status: 400}, want: "AWS does not know this access key in partition aws"},
	} {
		t.Run(name, func(t *testing.T) {
			a := after(t, sourceOf(t, someHost, identity{}, tc.env...), "aws", tc.reply)
			failure := a.diagnose(tc.err).explain()
			wantText(t, failure, tc.want)
			if !failure.Permanent {
				t.Error("not permanent")
			}
			if tc.never != "" && strings.Contains(failure.Problem+failure.Advice, tc.never) {
				t.Errorf("%q is in %q", tc.never, failure)
			}
		})
	}
}

// Each cloud's metadata service is told by what it answers to a question of
// EC2's, and nobody is sent to hop limits that are not EC2's.
func TestAdviceAboutMetadata(t *testing.T) {
	answer := errors.New("x")
	unreached := func(err error) replied {
		return replied{err: &net.OpError{Op: "dial", Net: "tcp", Err: err}}
	}
	for name, tc := range map[string]struct {
		err       error
		reply     replied
		env       []string
		permanent bool
		want      string
		hops      bool
	}{
		"Google Cloud":                 {atIMDSToken(answer), replied{status: 405, header: http.Header{"Metadata-Flavor": {"Google"}}}, nil, true, "this is a node of Google Cloud, not of EC2: it has no role of AWS: set AWS_PROFILE", false},
		"Google Cloud, another answer": {atIMDSToken(answer), replied{status: 404, header: http.Header{"Metadata-Flavor": {"Google"}, "Content-Type": {"text/html"}}}, nil, true, "this is a node of Google Cloud", false},
		"Azure":                        {atIMDSToken(answer), replied{status: 400, body: `{"error":"Bad request. Required metadata header not specified"}`}, nil, true, "this is a node of Azure", false},
		"Azure by its server":          {atIMDSToken(answer), replied{status: 404, header: http.Header{"Server": {"IMDS/150.870.65.1854"}}}, nil, true, "this is a node of Azure", false},
		"IBM Cloud":                    {atIMDSToken(answer), replied{status: 404, body: `{"errors":[{"code":"not_found","message":"no"}],"trace":"t"}`}, nil, true, "this is a node of IBM Cloud", false},
		"Oracle":                       {atIMDSToken(answer), replied{status: 404, header: http.Header{"Content-Type": {"text/html"}}, body: "<html>404 - Not Found</html>"}, nil, true, "what answers at 169.254.169.254 is not EC2's instance metadata service, but perhaps another cloud's: set AWS_PROFILE", false},
		"EC2 without a role":           {atIMDS(answer), replied{status: 404, header: http.Header{"Content-Type": {"text/html"}}}, nil, true, "the instance has no role", false},
		"EC2 with an empty list":       {atECR(errors.New("unexpected empty EC2 IMDS role list")), replied{status: 200}, nil, true, "the instance has no role", false},
		"EC2, turned off":              {atIMDSToken(answer), replied{status: 403, header: http.Header{"Content-Type": {"text/html"}}}, nil, true, "is turned off for this instance (HttpEndpoint)", false},
		"EC2, trust":                   {atIMDS(saying("AssumeRoleUnauthorizedAccess", "EC2 cannot assume the role")), replied{status: 200}, nil, true, "has to allow ec2.amazonaws.com", false},
		"EC2, one hop away":            {atIMDSToken(answer), replied{err: &cloudhttp.SilenceError{Step: cloudhttp.Waiting, After: time.Second}}, nil, false, "accepted the connection and did not answer in time: if the kubelet runs in a container, allow a metadata hop limit of 2", true},
		"EC2, slow":                    {atIMDS(answer), replied{err: &cloudhttp.SilenceError{Step: cloudhttp.Waiting, After: time.Second}}, nil, false, "accepted the connection and did not answer in time: the next attempt", false},
		"nothing there":                {atIMDSToken(answer), unreached(syscall.EHOSTUNREACH), nil, true, "there is nothing at 169.254.169.254, where the instance metadata service would be: if this is not EC2, set AWS_PROFILE", false},
		"no connection":                {atIMDSToken(answer), replied{err: &cloudhttp.SilenceError{Step: cloudhttp.Connecting, After: time.Second}}, nil, true, "there is nothing at 169.254.169.254", false},
		"nothing listens":              {atIMDSToken(answer), unreached(syscall.ECONNREFUSED), nil, false, "nothing listens at 169.254.169.254, or not yet", false},
		"IPv6 alone":                   {atIMDSToken(answer), unreached(syscall.ENETUNREACH), nil, true, "on EC2 with IPv6 alone, set AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6", false},
		"half a key":                   {atIMDSToken(answer), unreached(syscall.EHOSTUNREACH), []string{"AWS_ACCESS_KEY_ID=AKIA"}, true, "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY, so it is passed over: set both", false},
		"a profile":                    {atIMDSToken(answer), unreached(syscall.EHOSTUNREACH), nil, true, "if this is not EC2, profile global in /a/config has to get its credentials from elsewhere", false},
		"the other half":               {atIMDS(answer), replied{status: 404}, []string{"AWS_SECRET_KEY=abc"}, true, "AWS_SECRET_KEY is set without AWS_ACCESS_KEY_ID", false},
	} {
		t.Run(name, func(t *testing.T) {
			i := identity{}
			if name == "a profile" {
				i.profile, tc.env = "global", []string{"AWS_CONFIG_FILE=/a/config"}
			}
			a := after(t, sourceOf(t, someHost, i, tc.env...), imdsAddress, tc.reply)
			failure := a.diagnose(tc.err).explain()
			wantText(t, failure, tc.want, "[imds")
			if failure.Permanent != tc.permanent {
				t.Errorf("permanent: %t", failure.Permanent)
			}
			if strings.Contains(failure.Error(), "hop limit") != tc.hops {
				t.Errorf("hop limits in %q", failure)
			}
		})
	}
}

// A name that the SDK makes up by the rules need not exist.
func TestAdviceAboutNames(t *testing.T) {
	for name, tc := range map[string]struct {
		host, asked string
		notFound    bool
		want        string
	}{
		"region":               {"123456789012.dkr.ecr.moon-base-1.amazonaws.com", "api.ecr.moon-base-1.amazonaws.com", true, "api.ecr.moon-base-1.amazonaws.com has no address in DNS: is there a region moon-base-1?"},
		"FIPS of the host":     {"123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com", "api.ecr-fips.eu-west-1.amazonaws.com", true, "there may be no FIPS endpoint in eu-west-1; the image's host asks for it"},
		"FIPS of the setting":  {"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "api.ecr-fips.eu-west-1.amazonaws.com", true, "there may be no FIPS endpoint in eu-west-1; AWS_USE_FIPS_ENDPOINT asks for it"},
		"dual-stack":           {"123456789012.dkr-ecr.eu-west-1.on.aws", "ecr.eu-west-1.api.aws", true, "there may be no dual-stack endpoint in eu-west-1; the image's host asks for it"},
		"dual-stack setting":   {"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "ecr.eu-west-1.api.aws", true, "there may be no dual-stack endpoint in eu-west-1; AWS_USE_DUALSTACK_ENDPOINT asks for it"},
		"a configured name":    {someHost, "ecr.example.com", true, "ecr.example.com has no address in DNS: check the name"},
		"DNS that is not well": {someHost, "api.ecr.us-east-1.amazonaws.com", false, "DNS does not answer for api.ecr.us-east-1.amazonaws.com"},
	} {
		t.Run(name, func(t *testing.T) {
			reply := replied{err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: tc.asked, IsNotFound: tc.notFound}}}
			a := after(t, sourceOf(t, tc.host, identity{}), tc.asked, reply)
			wantText(t, a.diagnose(atECR(errors.New("x"))).explain(), tc.want)
		})
	}
}

// What is set and is not there is named, with what names it.
func TestAdviceAboutSettings(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		i    identity
		env  []string
		want []string
	}{
		"profile of the environment": {
			fmt.Errorf("AWS configuration: %w", config.SharedConfigProfileNotExistError{Profile: "pull"}), identity{},
			[]string{"AWS_PROFILE=pull", "AWS_CONFIG_FILE=/a/config", "AWS_SHARED_CREDENTIALS_FILE=/a/credentials"},
			[]string{`there is no profile "pull": AWS_PROFILE names it; looked in /a/config and /a/credentials [AWS configuration: `},
		},
		"profile of an account": {
			fmt.Errorf("AWS configuration: %w", config.SharedConfigProfileNotExistError{Profile: "pull"}), identity{profile: "pull"}, nil,
			[]string{`there is no profile "pull": the setting accounts names it; looked in `, "/.aws/config and "},
		},
		"source profile": {
			fmt.Errorf("AWS configuration: %w", config.SharedConfigProfileNotExistError{Profile: "base"}), identity{}, []string{"AWS_PROFILE=pull"},
			[]string{`there is no profile "base": source_profile of another profile names it`},
		},
		"web identity token": {
			inChain("failed to retrieve jwt from provide source, unable to read file at /t: open /t: no such file or directory"), identity{}, []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/t"},
			[]string{"the web identity token cannot be read: /t: open /t: no such file or directory: AWS_WEB_IDENTITY_TOKEN_FILE names it", "[credentials: "},
		},
		"web identity token of a profile": {
			inChain("failed to retrieve jwt from provide source, unable to read file at /t: open /t: no such file or directory"), identity{}, []string{"AWS_CONFIG_FILE=/a/config"},
			[]string{"web_identity_token_file in /a/config names it"},
		},
		"container token": {
			inChain("failed to load credentials, failed to read authorization token from /t: open /t: no such file or directory"), identity{}, nil,
			[]string{"the token for container credentials cannot be read: /t: open /t: no such file or directory: AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names it"},
		},
		"container token with an end of line": {
			inChain("failed to load credentials, authorization token contains invalid newline sequence"), identity{}, nil,
			[]string{"the token for container credentials holds an end of line: remove it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := after(t, sourceOf(t, someHost, tc.i, tc.env...), "", replied{})
			failure := a.diagnose(tc.err).explain()
			wantText(t, failure, tc.want...)
			if !failure.Permanent {
				t.Error("not permanent")
			}
		})
	}
}

func TestWhenToStartOver(t *testing.T) {
	noRole := problem{service: serviceIMDS, reply: cloudhttp.Reply{Status: 404}, cause: errors.New("x")}
	noToken := problem{service: serviceIMDS, operation: imdsToken, reply: cloudhttp.Reply{Status: 404}, cause: errors.New("x")}
	emptyList := problem{service: "ecr", cause: errors.New("unexpected empty EC2 IMDS role list")}
	rotated := problem{service: "ecr", code: "ExpiredTokenException", cause: errors.New("x")}
	asPod := identity{pod: plugintest.Pod(t, "sa", "u", "p")}
	for name, tc := range map[string]struct {
		problem  problem
		identity identity
		attempt  int
		want     bool
	}{
		"a role may come":             {noRole, identity{}, 3, true},
		"but not for ever":            {noRole, identity{}, 4, false},
		"another cloud gives none":    {noToken, identity{}, 1, false},
		"a list may fill":             {emptyList, identity{}, 1, true},
		"rotated keys are read again": {rotated, identity{}, 1, true},
		"once":                        {rotated, identity{}, 2, false},
		"a pod's are not rotated":     {rotated, asPod, 1, false},
		"a refusal stays one":         {problem{code: "AccessDeniedException", cause: errors.New("x")}, identity{}, 1, false},
	} {
		tc.problem.attempt = newAttempt(context.Background(), &source{identity: tc.identity})
		if _, got := tc.problem.again(tc.attempt); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}
