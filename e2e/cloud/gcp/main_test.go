package gcp

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
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

// ask makes one request, with headers given as name and value in turn.
func ask(handler http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}

// object reads an answer's JSON object.
func object(t *testing.T, answer *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(answer.Body.Bytes(), &fields); err != nil {
		t.Fatalf("%v: %d %s", err, answer.Code, answer.Body)
	}
	return fields
}

// access reads the access token of an answer.
func access(t *testing.T, answer *httptest.ResponseRecorder) string {
	t.Helper()
	token, ok := object(t, answer)["access_token"].(string)
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
