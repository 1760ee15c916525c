package azure

import (
	"net/http"
	"net/http/httptest"
	"net/url"
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
	formKind = "application/x-www-form-urlencoded"
	appID    = "0a1b2c3d-0000-4000-8000-00000000a001"
	login    = "example.azurecr.io"
)

var (
	system = ManagedIdentity{ClientID: "0a1b2c3d-0000-4000-8000-00000000c001", ObjectID: "0a1b2c3d-0000-4000-8000-00000000c002"}
	pull   = ManagedIdentity{
		ClientID: "0a1b2c3d-0000-4000-8000-00000000d001", ObjectID: "0a1b2c3d-0000-4000-8000-00000000d002",
		ResourceID: "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull",
	}
	other = ManagedIdentity{ClientID: "0a1b2c3d-0000-4000-8000-00000000e001", ObjectID: "0a1b2c3d-0000-4000-8000-00000000e002"}

	puller = oidc.ServiceAccount{Namespace: "shop", Name: "puller", UID: "1", Pod: "web-0", PodUID: "2"}
)

// rig is a fake without a cloud around it, whose machine has every kind of
// identity and whose registry lets them pull.
type rig struct {
	*Fake
	calls  *cloud.Calls
	faults *cloud.Faults
}

func newRig() rig {
	calls, faults := &cloud.Calls{}, &cloud.Faults{}
	fake := New(calls, faults)
	machine := InstanceSettings{System: &system, User: []ManagedIdentity{pull, other}}
	fake.Configure(func(s *Settings) { s.IMDS.InstanceSettings, s.Arc.InstanceSettings = machine, machine })
	fake.AddRegistry(Registry{Hosts: []string{login, "example.eastus.geo.azurecr.io"}, Roles: []Role{
		{Name: AcrPull, Principal: Principal{HomeTenant, system.ClientID}},
		{Name: AcrPull, Principal: Principal{HomeTenant, appID}},
	}})
	return rig{Fake: fake, calls: calls, faults: faults}
}

func post(handler http.Handler, target string, form url.Values) *httptest.ResponseRecorder {
	return cloudtest.Send(handler, http.MethodPost, target, form.Encode(), "Content-Type", formKind)
}

// form is a form of names and values in turn.
func form(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

// changed is a form with one field set to other values, or without it.
func changed(values url.Values, name string, to ...string) url.Values {
	copied := url.Values{}
	for field, all := range values {
		copied[field] = all
	}
	if copied[name] = to; len(to) == 0 {
		delete(copied, name)
	}
	return copied
}

// text reads one string of an answer.
func text(t *testing.T, answer *httptest.ResponseRecorder, name string) string {
	t.Helper()
	value, ok := cloudtest.Object(t, answer)[name].(string)
	if answer.Code != http.StatusOK || !ok {
		t.Fatalf("answer %d %s", answer.Code, answer.Body)
	}
	return value
}

// wantRefusal fails the test unless the answer is that, and was a violation or
// not.
func (g rig) wantRefusal(t *testing.T, answer *httptest.ResponseRecorder, status int, says string, form bool) {
	t.Helper()
	if answer.Code != status || !strings.Contains(answer.Body.String(), says) {
		t.Errorf("answer %d %s, want %d and %q", answer.Code, answer.Body, status, says)
	}
	if violated := len(g.calls.Violations()) != 0; violated != form {
		t.Errorf("violations %v, want one: %t", g.calls.Violations(), form)
	}
}

// wantNoViolation fails the test if the fake was asked what no correct program
// asks.
func (g rig) wantNoViolation(t *testing.T) {
	t.Helper()
	if got := g.calls.Violations(); len(got) != 0 {
		t.Errorf("violations %v", got)
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

// imds asks as a program on the machine does.
func (g rig) imds(query string) *httptest.ResponseRecorder {
	return cloudtest.Send(g.IMDS(), http.MethodGet, "http://169.254.169.254"+machinePath+"?api-version=2018-02-01&"+query, "", "Metadata", "true")
}

const acrResource = "resource=https%3A%2F%2Fcontainerregistry.azure.net"
