package ibm

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
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

func TestMain(m *testing.M) { os.Exit(cloudtest.RunFake(m)) }

const (
	linked   = "Profile-11111111-2222-3333-4444-555555555555"
	unlinked = "Profile-66666666-7777-8888-9999-aaaaaaaaaaaa"
	key      = "the-key"
)

var service = ServiceID{ID: "ServiceId-1", Reader: true}

// rig is a fake without a cloud around it.
type rig struct {
	*Fake
	calls *cloud.Calls
	t     *testing.T
}

func newRig(t *testing.T) rig {
	calls := &cloud.Calls{}
	f := New(calls, &cloud.Faults{})
	f.AddProfile(Profile{ID: linked, Accounts: []oidc.ServiceAccount{fake.Shop}, Assumers: []string{service.IAMID()}, Reader: true})
	f.AddProfile(Profile{ID: unlinked})
	f.AddServiceID(service, key)
	f.Configure(func(s *Settings) { s.Machine.Linked = []string{linked} })
	return rig{f, calls, t}
}

// want fails the test unless the answer has the status and says so, and was a
// violation or not.
func (g rig) want(answer *httptest.ResponseRecorder, status int, says string, form bool) {
	g.t.Helper()
	if answer.Code != status || !strings.Contains(answer.Body.String(), says) {
		g.t.Errorf("answer %d %s, want %d and %q", answer.Code, answer.Body, status, says)
	}
	if got := g.calls.Violations(); (len(got) != 0) != form {
		g.t.Errorf("violations %v, want one: %t", got, form)
	}
	g.calls.Reset()
}

func object(t *testing.T, answer *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	if answer.Code != http.StatusOK {
		t.Fatalf("answer %d %s", answer.Code, answer.Body)
	}
	return cloudtest.Object(t, answer)
}

const (
	base    = "http://169.254.169.254"
	version = "?version=2025-08-26"
)

var (
	flavor = []string{"Metadata-Flavor", "ibm", "Content-Type", "application/json"}
	five   = `{"expires_in":300}`
)

func TestAMachineSaysWhoItIs(t *testing.T) {
	for name, tc := range map[string]struct {
		method, target, body string
		headers              []string
		status               int
		says                 string
		form                 bool
	}{
		"a program on the machine": {"PUT", identityPath + version, five, flavor, 200, "access_token", false},
		"without a body":           {"PUT", identityPath + version, "", flavor[:2], 200, "access_token", false},
		"in another version":       {"PUT", identityPath + "?version=2022-03-01", five, flavor, 200, "access_token", false},
		"in the older way":         {"PUT", oldIdentityPath + "?version=2022-03-01", five, flavor, 200, "access_token", false},
		"in an older way that was": {"PUT", oldIdentityPath + version, five, flavor, 404, "not_found", false},
		"without a header":         {"PUT", identityPath + version, five, flavor[2:], 400, "missing_value", true},
		"with another":             {"PUT", identityPath + version, five, []string{"Metadata-Flavor", "google"}, 400, "missing_value", true},
		"by way of a proxy":        {"PUT", identityPath + version, five, append([]string{"Via", "1.1 proxy"}, flavor...), 403, "unauthorized", true},
		"without a version":        {"PUT", identityPath, five, flavor, 400, "invalid_value", true},
		"with more":                {"PUT", identityPath + version + "&x=1", five, flavor, 400, "invalid_request", true},
		"by POST":                  {"POST", identityPath + version, five, flavor, 404, "no operation", true},
		"for too long":             {"PUT", identityPath + version, `{"expires_in":3601}`, flavor, 400, "invalid_value", true},
		"with an unknown field":    {"PUT", identityPath + version, `{"expires":300}`, flavor, 400, "unknown_field", true},
		"with two bodies":          {"PUT", identityPath + version, five + five, flavor, 400, "more than an object", true},
		"as text":                  {"PUT", identityPath + version, five, append([]string{"Content-Type", "text/plain"}, flavor[:2]...), 400, "content type", true},
		"with credentials":         {"PUT", identityPath + version, five, append([]string{"Authorization", "Bearer x"}, flavor...), 400, "no place", true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.want(cloudtest.Send(g.VPC(), tc.method, base+tc.target, tc.body, tc.headers...), tc.status, tc.says, tc.form)
		})
	}
}

func TestWhichPathsAMachineHas(t *testing.T) {
	g := newRig(t)
	ask := func(handler http.Handler, target string) int {
		return cloudtest.Send(handler, "PUT", base+target, five, flavor...).Code
	}
	g.Configure(func(s *Settings) { s.Machine.BareMetal = true })
	if ask(g.VPC(), oldIdentityPath+"?version=2022-03-01") != 404 || ask(g.VPC(), identityPath+version) != 200 {
		t.Error("bare metal has the older paths, or no newer")
	}
	g.Configure(func(s *Settings) { s.Machine = MachineSettings{Old: true} })
	if ask(g.VPC(), oldIdentityPath+"?version=2022-03-01") != 200 || ask(g.VPC(), identityPath+version) != 404 {
		t.Error("an old place has the newer paths, or no older")
	}
	g.Configure(func(s *Settings) { s.Machine = MachineSettings{Disabled: true} })
	if ask(g.VPC(), identityPath+version) != 403 {
		t.Error("what is disabled answers")
	}
	g.Configure(func(s *Settings) { s.Machine = MachineSettings{} })
	if ask(g.Power(), identityPath) != 200 || ask(g.Power(), identityPath+version) != 400 || ask(g.Power(), oldIdentityPath) != 404 {
		t.Error("Power has versions, or older paths")
	}
}

func TestAMachineIsAProfile(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		status int
		says   string
		form   bool
	}{
		"that it is linked to":    {`{"trusted_profile":{"id":"` + linked + `"}}`, 200, "expires_at", false},
		"that it is not":          {`{"trusted_profile":{"id":"` + unlinked + `"}}`, 400, "profile_not_linked", false},
		"that does not exist":     {`{"trusted_profile":{"id":"Profile-x"}}`, 400, "profile_not_linked", false},
		"by default, without one": {"", 400, "missing_field", false},
		"named twice":             {`{"trusted_profile":{"id":"` + linked + `","name":"x"}}`, 400, "invalid_request", true},
		"of no name":              {`{"trusted_profile":{}}`, 400, "invalid_request", true},
		"with an unknown field":   {`{"profile":{"id":"` + linked + `"}}`, 400, "unknown_field", true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			identity := object(t, cloudtest.Send(g.VPC(), "PUT", base+identityPath+version, five, flavor...))["access_token"].(string)
			answer := cloudtest.Send(g.VPC(), "POST", base+iamPath+version, tc.body, append([]string{"Authorization", "Bearer " + identity}, flavor...)...)
			g.want(answer, tc.status, tc.says, tc.form)
			if tc.status == 200 {
				token, ok := g.Token(object(t, answer)["access_token"].(string))
				if !ok || token.IAMID != "iam-"+linked || token.Service != "metadata" {
					t.Errorf("issued %+v", token)
				}
			}
			// Another machine's, none, and one that has ended.
			for _, bearer := range []string{"", "Bearer made-up", identity} {
				g.want(cloudtest.Send(g.VPC(), "POST", base+iamPath+version, tc.body, append([]string{"Authorization", bearer}, flavor...)...), 401, "unauthenticated", false)
			}
			g.want(cloudtest.Send(g.Power(), "POST", base+iamPath, "", append([]string{"Authorization", "Bearer " + identity}, flavor...)...), 401, "unauthenticated", false)
			g.Configure(func(s *Settings) { s.Clock = 6 * time.Minute })
			g.want(cloudtest.Send(g.VPC(), "POST", base+iamPath+version, tc.body, append([]string{"Authorization", "Bearer " + identity}, flavor...)...), 401, "unauthenticated", false)
		})
	}
}

func (g rig) post(pairs ...string) *httptest.ResponseRecorder {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return cloudtest.Send(g.IAM(), "POST", "https://iam.cloud.ibm.com/identity/token", form.Encode(), "Content-Type", fake.FormKind, "Accept", "application/json")
}

func TestIAMGrants(t *testing.T) {
	g := newRig(t)
	tokenOf := func(account oidc.ServiceAccount, audience string, life time.Duration) string {
		token, err := g.Issuer.Token(account, audience, life)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := tokenOf(fake.Shop, Audience, time.Hour)
	foreign, err := oidc.NewIssuer("https://elsewhere").Token(fake.Shop, Audience, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	own := object(t, g.post("grant_type", grantType+"apikey", "apikey", key))["access_token"].(string)
	for name, tc := range map[string]struct {
		pairs []string
		says  string // of a refusal; empty: there is none
		form  bool
	}{
		"a key":                      {[]string{"grant_type", grantType + "apikey", "apikey", key}, "", false},
		"a key for the cloud's IAM":  {[]string{"grant_type", grantType + "apikey", "apikey", key, "response_type", "cloud_iam"}, "", false},
		"a key that is none":         {[]string{"grant_type", grantType + "apikey", "apikey", "x"}, "BXNIM0415E", false},
		"no key":                     {[]string{"grant_type", grantType + "apikey"}, "BXNIM0109E", true},
		"a key and a profile":        {[]string{"grant_type", grantType + "apikey", "apikey", key, "profile_id", linked}, "BXNIM0109E", true},
		"a pod":                      {[]string{"grant_type", grantType + "cr-token", "cr_token", good, "profile_id", linked}, "", false},
		"a pod without a rule":       {[]string{"grant_type", grantType + "cr-token", "cr_token", good, "profile_id", unlinked}, "BXNIM0398E", false},
		"another pod":                {[]string{"grant_type", grantType + "cr-token", "cr_token", tokenOf(fake.Jobs, Audience, time.Hour), "profile_id", linked}, "tok2iks1:jobs:batch:batch-0", false},
		"a pod for another audience": {[]string{"grant_type", grantType + "cr-token", "cr_token", tokenOf(fake.Shop, "x", time.Hour), "profile_id", linked}, "BXNIM0407E", false},
		"a pod's token that ended":   {[]string{"grant_type", grantType + "cr-token", "cr_token", tokenOf(fake.Shop, Audience, -time.Second), "profile_id", linked}, "BXNIM0407E", false},
		"a pod's long token":         {[]string{"grant_type", grantType + "cr-token", "cr_token", tokenOf(fake.Shop, Audience, 2*time.Hour), "profile_id", linked}, "BXNIM0407E", false},
		"a pod of another cluster":   {[]string{"grant_type", grantType + "cr-token", "cr_token", foreign, "profile_id", linked}, "BXNIM0407E", false},
		"a pod without a profile":    {[]string{"grant_type", grantType + "cr-token", "cr_token", good}, "BXNIM0109E", true},
		"a profile":                  {[]string{"grant_type", grantType + "assume", "access_token", own, "profile_id", linked}, "", false},
		"a profile of nobody's":      {[]string{"grant_type", grantType + "assume", "access_token", own, "profile_id", unlinked}, "BXNIM0398E", false},
		"a profile by what is none":  {[]string{"grant_type", grantType + "assume", "access_token", "x", "profile_id", linked}, "BXNIM0407E", false},
		"another grant":              {[]string{"grant_type", "refresh_token", "refresh_token", "x"}, "BXNIM0109E", true},
		"an unsupported grant":       {[]string{"grant_type", grantType + "passcode", "scope", "x"}, "BXNIM0119E", true},
		"an unknown field":           {[]string{"grant_type", grantType + "apikey", "apikey", key, "x", "y"}, "unknown field", true},
	} {
		t.Run(name, func(t *testing.T) {
			g := rig{g.Fake, g.calls, t}
			answer := g.post(tc.pairs...)
			if tc.says != "" {
				g.want(answer, 400, tc.says, tc.form)
				if !strings.Contains(answer.Body.String(), "requestId") {
					t.Errorf("no request id in %s", answer.Body)
				}
				return
			}
			g.want(answer, 200, `"refresh_token":"not_supported"`, false)
		})
	}
	g.want(cloudtest.Send(g.IAM(), "GET", "https://iam.cloud.ibm.com/identity/token", ""), 404, "no operation", true)
	g.want(cloudtest.Send(g.IAM(), "POST", "https://iam.cloud.ibm.com/identity/token", "", "Content-Type", fake.FormKind), 400, "Accept", true)
	g.want(cloudtest.Send(g.IAM(), "POST", "https://iam.cloud.ibm.com/identity/token", "", "Content-Type", fake.FormKind, "Accept", "application/json", "Authorization", "Basic Yng6Yng="), 400, "credentials", true)
}

func TestWhatARegistryTakes(t *testing.T) {
	g := newRig(t)
	token := object(t, g.post("grant_type", grantType+"apikey", "apikey", key))["access_token"].(string)
	assumed := object(t, g.post("grant_type", grantType+"assume", "access_token", token, "profile_id", linked))["access_token"].(string)
	for name, tc := range map[string]struct{ host, username, password, owner, says string }{
		"a token":                 {"us.icr.io", TokenUser, token, service.IAMID(), ""},
		"at another host":         {"private.in2.icr.io:443", TokenUser, token, service.IAMID(), ""},
		"by an old name":          {"registry.ng.bluemix.net", TokenUser, assumed, "iam-" + linked, ""},
		"a key":                   {"us.icr.io", KeyUser, key, service.IAMID(), ""},
		"a profile's key":         {"us.icr.io", linked, key, "iam-" + linked, ""},
		"another profile's":       {"us.icr.io", unlinked, key, "", "no user"},
		"a made-up token":         {"us.icr.io", TokenUser, "x", "", "not an IAM token"},
		"a made-up key":           {"us.icr.io", KeyUser, "x", "", "not an API key"},
		"a key as a token":        {"us.icr.io", TokenUser, key, "", "not an IAM token"},
		"at somebody else's":      {"cp.icr.io", TokenUser, token, "", "no registry of an account"},
		"where layers are":        {"dd0.icr.io", TokenUser, token, "", "no registry of an account"},
		"in a region that is not": {"zz.icr.io", TokenUser, token, "", "no registry of an account"},
	} {
		owner, err := g.Login(tc.host, tc.username, tc.password)
		if owner != tc.owner || (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %q, %v", name, owner, err)
		}
	}
	g.AddServiceID(ServiceID{ID: service.ID}, "second")
	if _, err := g.Login("us.icr.io", TokenUser, token); err == nil || !strings.Contains(err.Error(), "lacks the role Reader") {
		t.Errorf("without a role: %v", err)
	}
	g.AddServiceID(service, "second")
	g.DeleteKey(key)
	if _, err := g.Login("us.icr.io", KeyUser, key); err == nil {
		t.Error("a deleted key is taken")
	}
	g.Configure(func(s *Settings) { s.Clock = 2 * time.Hour })
	if _, err := g.Login("us.icr.io", TokenUser, token); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an old token: %v", err)
	}
	if all := g.Secrets(); len(all) != 2 {
		t.Errorf("%d secrets were issued, want 2", len(all))
	}
}
