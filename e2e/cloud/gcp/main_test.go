package gcp

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/oidc"
)

func TestMain(m *testing.M) { os.Exit(cloudtest.RunFake(m)) }

const (
	nodeAccount = "node@example-project.iam.gserviceaccount.com"
	pullAccount = "pull@example-project.iam.gserviceaccount.com"
)

var puller = oidc.ServiceAccount{Namespace: "shop", Name: "puller", UID: "1", Pod: "web-0", PodUID: "2"}

// rig is a fake without a cloud around it, whose instance has a service
// account.
type rig struct {
	*Fake
	calls  *cloud.Calls
	faults *cloud.Faults
}

func newRig() rig {
	calls, faults := &cloud.Calls{}, &cloud.Faults{}
	fake := New(calls, faults)
	fake.Configure(func(s *Settings) { s.Metadata.ServiceAccount = nodeAccount })
	return rig{Fake: fake, calls: calls, faults: faults}
}

// access reads the access token of an answer.
func access(t *testing.T, answer *httptest.ResponseRecorder) string {
	t.Helper()
	token, ok := cloudtest.Object(t, answer)["access_token"].(string)
	if answer.Code != http.StatusOK || !ok {
		t.Fatalf("answer %d %s", answer.Code, answer.Body)
	}
	return token
}

// wantViolations fails the test unless the fake was asked so many things that
// no correct program asks.
func (g rig) wantViolations(t *testing.T, want int) {
	t.Helper()
	if got := g.calls.Violations(); len(got) != want {
		t.Errorf("%d violations, want %d: %v", len(got), want, got)
	}
}

// workload is a token of the puller for an audience.
func (g rig) workload(t *testing.T, audience string, life time.Duration) string {
	t.Helper()
	token, err := g.Issuer.Token(puller, audience, life)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
