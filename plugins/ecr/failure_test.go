package ecr

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/smithy-go"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
)

var nodeSource = &source{registry: registry{account: "123456789012", region: "us-east-1", partition: "aws"}}

// failing wraps an error as the SDK's layers do.
func failing(service, operation string, err error) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: err}
}

func refusal(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }

func TestWhatAFailureMeans(t *testing.T) {
	unreachable := &net.OpError{Op: "dial", Err: errors.New("no route to host")}
	imds := failing("ECR", "GetAuthorizationToken", fmt.Errorf("no EC2 IMDS role found, %w", failing("ec2imds", "GetMetadata", errors.New("x"))))
	for name, tc := range map[string]struct {
		err       error
		last      exchange
		permanent bool
		hopeless  bool
		want      string
	}{
		"refused":                  {failing("ECR", "GetAuthorizationToken", refusal("AccessDeniedException")), exchange{host: "api.ecr", status: 400}, true, true, "ecr: GetAuthorizationToken at api.ecr: status 400 AccessDeniedException: no"},
		"throttled":                {failing("ECR", "GetAuthorizationToken", refusal("ThrottlingException")), exchange{host: "api.ecr", status: 400, retryAfter: 7 * time.Second}, false, false, "AWS throttles this account"},
		"at fault":                 {failing("ECR", "GetAuthorizationToken", refusal("ServerException")), exchange{host: "api.ecr", status: 500}, false, false, "AWS has a fault"},
		"the inner failure counts": {failing("ECR", "GetAuthorizationToken", failing("STS", "AssumeRole", refusal("AccessDenied"))), exchange{host: "sts", status: 403}, true, true, "sts: AssumeRole at sts: status 403 AccessDenied: no"},
		"no role":                  {imds, exchange{host: imdsAddress, status: 404}, true, true, "imds: GetMetadata at 169.254.169.254: status 404 x, asking for registry 123456789012 in us-east-1 as the node's identity: attach an instance profile"},
		"metadata throttled":       {imds, exchange{host: imdsAddress, status: 429}, false, false, "is throttled or at fault"},
		"metadata silent":          {imds, exchange{host: imdsAddress, err: errors.New("deadline")}, false, false, "metadata hop limit of 2"},
		"no metadata service":      {imds, exchange{host: imdsAddress, err: unreachable}, true, true, "there is no instance metadata service here"},
		"unreachable":              {failing("ECR", "GetAuthorizationToken", errors.New("x")), exchange{host: "api.ecr", err: unreachable}, false, false, "check the node's route, DNS, proxy or VPC endpoint for api.ecr"},
	} {
		t.Run(name, func(t *testing.T) {
			p := dissect(tc.err, tc.last)
			if p.hopeless() != tc.hopeless {
				t.Errorf("hopeless: %t", p.hopeless())
			}
			err := nodeSource.explain(p)
			var failure *credential.Failure
			if !errors.As(err, &failure) || failure.Permanent != tc.permanent || failure.RetryAfter != tc.last.retryAfter {
				t.Errorf("got %+v", failure)
			}
			if !strings.Contains(err.Error(), tc.want) || !errors.Is(err, tc.err) {
				t.Errorf("got %q, want %q", err, tc.want)
			}
		})
	}
}

// The SDK's error of a credential_process repeats what the program printed.
func TestWhatACredentialProcessPrintsIsNotRepeated(t *testing.T) {
	printed := &processcreds.ProviderError{Err: errors.New(`parse failed of process output: {"SecretAccessKey":"wJalrXUtnFEMI"}`)}
	err := nodeSource.explain(dissect(failing("ECR", "GetAuthorizationToken", printed), exchange{}))
	if text := err.Error(); strings.Contains(text, "wJalr") || !strings.HasPrefix(text, "credential_process: the program failed") {
		t.Errorf("got %q", text)
	}
}

func TestWhenToStartOver(t *testing.T) {
	noRole := problem{service: "imds", exchange: exchange{status: 404}, cause: errors.New("x")}
	emptyList := problem{service: "ecr", cause: errors.New("unexpected empty EC2 IMDS role list")}
	rotated := problem{service: "ecr", code: "ExpiredTokenException", cause: errors.New("x")}
	asPod := identity{pod: plugintest.Pod(t, "sa", "u", "p")}
	for name, tc := range map[string]struct {
		problem problem
		who     identity
		attempt int
		want    bool
	}{
		"a role may come":            {noRole, identity{}, 3, true},
		"but not for ever":           {noRole, identity{}, 4, false},
		"a list may fill":            {emptyList, identity{}, 1, true},
		"rotated keys are read anew": {rotated, identity{}, 1, true},
		"once":                       {rotated, identity{}, 2, false},
		"a pod's are not rotated":    {rotated, asPod, 1, false},
		"a refusal stays one":        {problem{code: "AccessDeniedException", cause: errors.New("x")}, identity{}, 1, false},
	} {
		if _, got := tc.problem.again(tc.who, tc.attempt); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}
