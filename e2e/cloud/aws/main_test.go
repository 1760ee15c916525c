package aws

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
)

func TestMain(m *testing.M) { os.Exit(cloudtest.RunFake(m)) }

const (
	nodeRole  = "arn:aws:iam::123456789012:role/eks/node"
	podRole   = "arn:aws:iam::123456789012:role/shop-pull"
	ecrTarget = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
)

// rig is a fake without a cloud around it.
type rig struct {
	*Fake
	calls  *cloud.Calls
	faults *cloud.Faults
}

func newRig() rig {
	calls, faults := &cloud.Calls{}, &cloud.Faults{}
	fake := New(calls, faults)
	fake.AddRole(Role{ARN: nodeRole, Allow: []Action{ECRToken, ECRPublicToken, BearerToken}})
	return rig{Fake: fake, calls: calls, faults: faults}
}

// node is credentials of the node's role.
func (g rig) node(t *testing.T) Credentials {
	t.Helper()
	credentials, err := g.AddSession(nodeRole, "i-1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return credentials
}

// endpointAt finds an endpoint of us-east-1 by its name.
func endpointAt(t *testing.T, host string) endpoint {
	t.Helper()
	endpoints, err := endpointsIn("us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, candidate := range endpoints {
		if candidate.host == host {
			return candidate
		}
	}
	t.Fatalf("no endpoint %s", host)
	return endpoint{}
}

func (g rig) ecrHandler(t *testing.T) http.Handler {
	return g.api(endpointAt(t, "api.ecr.us-east-1.amazonaws.com"))
}

// post makes a request as it leaves a client.
func post(host, contentType, body string) *http.Request {
	request := httptest.NewRequest(http.MethodPost, "https://"+host+"/", strings.NewReader(body))
	request.Header.Set("Content-Type", contentType)
	return request
}

func ecrRequest() *http.Request {
	request := post("api.ecr.us-east-1.amazonaws.com", jsonType, "{}")
	request.Header.Set("X-Amz-Target", ecrTarget)
	return request
}

// signing is how a request is signed.
type signing struct {
	service, region string
	at              time.Time
	body            string
}

// sign uses the AWS SDK's signer: another reading of the same specification.
func sign(t *testing.T, request *http.Request, credentials Credentials, how signing) {
	t.Helper()
	err := v4.NewSigner().SignHTTP(context.Background(), sdk.Credentials{
		AccessKeyID:     credentials.AccessKeyID,
		SecretAccessKey: credentials.SecretAccessKey,
		SessionToken:    credentials.SessionToken,
	}, request, hexHash([]byte(how.body)), how.service, how.region, how.at)
	if err != nil {
		t.Fatal(err)
	}
}

func serve(handler http.Handler, request *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}
