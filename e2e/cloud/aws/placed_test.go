package aws

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"regcred/e2e/cloud"
)

// placed is a fake at its production names, with an instance role, and the
// AWS SDK configured as on that instance. It skips where there is no
// namespace.
func placed(t *testing.T) (*cloud.Cloud, *Fake, sdk.Config) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED", "HTTPS_PROXY"} {
		t.Setenv(name, "")
	}
	c, err := cloud.New()
	if errors.Is(err, cloud.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	fake := New(c.Calls, c.Faults)
	if err := fake.Place(c); err != nil {
		t.Fatal(err)
	}
	fake.AddRole(Role{ARN: nodeRole, Allow: []Action{ECRToken, ECRPublicToken, BearerToken}})
	fake.Configure(func(s *Settings) { s.Instance.Role = nodeRole })

	loaded, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-west-2"))
	if err != nil {
		t.Fatal(err)
	}
	loaded.HTTPClient = &http.Client{Transport: buffered{&http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: c.Authority.Pool()},
	}}}
	return c, fake, loaded
}

// buffered sends requests from memory. The SDK closes the body of one that has
// been answered, which may be before the transport has seen that it ends; then
// the answer breaks off and the SDK asks again.
type buffered struct{ next http.RoundTripper }

func (b buffered) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	return b.next.RoundTrip(request)
}

func TestTheSDKFindsEverythingWhereItLooks(t *testing.T) {
	c, fake, loaded := placed(t)
	fake.AddRole(Role{ARN: podRole, Allow: []Action{ECRToken}, Subjects: []string{puller.Subject()}})
	fake.AddRole(Role{ARN: crossRole, Allow: []Action{ECRToken}, Principals: []string{nodeRole}})

	tests := []struct {
		name    string
		options func(*ecr.Options)
		host    string
		role    string
	}{
		{"node", func(*ecr.Options) {}, "api.ecr.us-west-2.amazonaws.com", nodeRole},
		{"FIPS", func(o *ecr.Options) { o.EndpointOptions.UseFIPSEndpoint = sdk.FIPSEndpointStateEnabled },
			"api.ecr-fips.us-west-2.amazonaws.com", nodeRole},
		{"dual-stack", func(o *ecr.Options) { o.EndpointOptions.UseDualStackEndpoint = sdk.DualStackEndpointStateEnabled },
			"ecr.us-west-2.api.aws", nodeRole},
		{"pod", func(o *ecr.Options) {
			o.Credentials = stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(loaded), podRole, podToken{fake}, func(w *stscreds.WebIdentityRoleOptions) {
				w.RoleSessionName = "shop.puller"
			})
		}, "api.ecr.us-west-2.amazonaws.com", podRole},
		{"other account", func(o *ecr.Options) {
			o.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(loaded), crossRole)
		}, "api.ecr.us-west-2.amazonaws.com", crossRole},
	}
	for _, test := range tests {
		c.Calls.Reset()
		answer, err := ecr.NewFromConfig(loaded, test.options).GetAuthorizationToken(t.Context(), nil)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		checkToken(t, fake, *answer.AuthorizationData[0].AuthorizationToken, test.role)
		if left := time.Until(*answer.AuthorizationData[0].ExpiresAt); left < 11*time.Hour || left > 12*time.Hour {
			t.Errorf("%s: %s left", test.name, left)
		}
		if calls := c.Calls.Of("ecr", "GetAuthorizationToken"); len(calls) != 1 || calls[0].Host != test.host {
			t.Errorf("%s: journal\n%s", test.name, c.Calls)
		}
		if violations := c.Calls.Violations(); len(violations) != 0 {
			t.Errorf("%s: violations %v", test.name, violations)
		}
	}

	answer, err := ecrpublic.NewFromConfig(loaded, func(o *ecrpublic.Options) { o.Region = "us-east-1" }).GetAuthorizationToken(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	checkToken(t, fake, *answer.AuthorizationData.AuthorizationToken, nodeRole)
}

func checkToken(t *testing.T, fake *Fake, encoded, role string) {
	t.Helper()
	token, ok := fake.Token(passwordIn(t, encoded))
	if !ok || token.Principal.Role != role {
		t.Errorf("token of %+v, %t; want %s", token.Principal, ok, role)
	}
}

// podToken hands the SDK a service account token, as a file would.
type podToken struct{ fake *Fake }

func (p podToken) GetIdentityToken() ([]byte, error) {
	token, err := p.fake.Issuer.Token(puller, stsAudience, time.Hour)
	return []byte(token), err
}

func TestNamesThatAWSDoesNotHave(t *testing.T) {
	c, _, loaded := placed(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := ecr.NewFromConfig(loaded, func(o *ecr.Options) {
		o.Region = "mars-north-1"
		o.RetryMaxAttempts = 1
	}).GetAuthorizationToken(ctx, nil)
	if err == nil {
		t.Error("a region that does not exist answered")
	}
	if calls := c.Calls.Of("dns", "A"); len(calls) == 0 || calls[0].Host != "api.ecr.mars-north-1.amazonaws.com" {
		t.Errorf("journal\n%s", c.Calls)
	}
}
