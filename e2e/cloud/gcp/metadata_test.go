package gcp

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

const (
	metadataHost = "http://169.254.169.254"
	tokenPath    = "/computeMetadata/v1/instance/service-accounts/default/token"
)

// get asks as a program on the instance does.
func (g rig) get(path string) *httptest.ResponseRecorder {
	return cloudtest.Send(g.Metadata(), http.MethodGet, metadataHost+path, "", "Metadata-Flavor", "Google")
}

func TestMetadataRefusesWhatIsNoProgramOnTheInstance(t *testing.T) {
	tests := []struct {
		name, method, body string
		headers            []string
		status             int
	}{
		{"a program on the instance", http.MethodGet, "", []string{"Metadata-Flavor", "Google"}, 200},
		{"no flavor", http.MethodGet, "", nil, 403},
		{"another flavor", http.MethodGet, "", []string{"Metadata-Flavor", "Amazon"}, 403},
		{"through a proxy", http.MethodGet, "", []string{"Metadata-Flavor", "Google", "X-Forwarded-For", "10.0.0.1"}, 403},
		{"POST", http.MethodPost, "", []string{"Metadata-Flavor", "Google"}, 405},
		{"with credentials", http.MethodGet, "", []string{"Metadata-Flavor", "Google", "Authorization", "Bearer x"}, 400},
		{"with a body", http.MethodGet, "x", []string{"Metadata-Flavor", "Google"}, 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newRig()
			answer := cloudtest.Send(g.Metadata(), test.method, metadataHost+tokenPath, test.body, test.headers...)
			if answer.Code != test.status || answer.Header().Get("Metadata-Flavor") != "Google" {
				t.Errorf("status %d and %v, want %d", answer.Code, answer.Header(), test.status)
			}
			violations := 0
			if test.status != 200 {
				violations = 1
			}
			g.wantViolations(t, violations)
		})
	}
}

func TestMetadataPaths(t *testing.T) {
	const root = "/computeMetadata/v1/"
	tests := []struct {
		path, operation string
		status          int
		body            string
	}{
		{root + "instance/service-accounts/", "ListServiceAccounts", 200, "default/\n" + nodeAccount + "/\n"},
		{root + "instance/service-accounts/default", "GetServiceAccount", 301, ""},
		{root + "instance/service-accounts/default/", "GetServiceAccount", 200, "aliases\nemail\nidentity\nscopes\ntoken\n"},
		{root + "instance/service-accounts/default/?recursive=true", "GetServiceAccount", 200,
			`{"aliases":["default"],"email":"` + nodeAccount + `","scopes":["` + StorageReadOnly + `","` + LoggingWrite + `"]}` + "\n"},
		{root + "instance/service-accounts/default/email", "GetEmail", 200, nodeAccount},
		{root + "instance/service-accounts/" + nodeAccount + "/email", "GetEmail", 200, nodeAccount},
		{root + "instance/service-accounts/default/scopes", "GetScopes", 200, StorageReadOnly + "\n" + LoggingWrite + "\n"},
		{root + "instance/service-accounts/default/scopes?alt=json", "GetScopes", 200, `["` + StorageReadOnly + `","` + LoggingWrite + `"]` + "\n"},
		{root + "instance/service-accounts/other@example-project.iam.gserviceaccount.com/token", "GetToken", 404, ""},
		{root + "project/project-id", "GetProjectID", 200, "example-project"},
		{root + "project/numeric-project-id", "GetNumericProjectID", 200, "123456789012"},
		{root + "universe/universe-domain", "GetUniverse", 404, ""},
		{root + "instance/attributes/cluster-name", "GetAttribute", 200, "main"},
		{root + "instance/attributes/absent", "GetAttribute", 404, ""},
		{root + "instance/nothing", "GetMetadata", 404, ""},
		{"/computeMetadata/v1beta1/project/project-id", "GetMetadata", 404, ""},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			g := newRig()
			g.Configure(func(s *Settings) { s.Metadata.Attributes = map[string]string{"cluster-name": "main"} })
			answer := g.get(test.path)
			if answer.Code != test.status || test.status == 200 && answer.Body.String() != test.body {
				t.Errorf("answer %d %q, want %d %q", answer.Code, answer.Body, test.status, test.body)
			}
			if g.calls.Count("metadata", test.operation) != 1 {
				t.Errorf("journal\n%s, want %s", g.calls, test.operation)
			}
			g.wantViolations(t, 0)
		})
	}
}

func TestWithoutAServiceAccountThereIsNoToken(t *testing.T) {
	g := newRig()
	g.Configure(func(s *Settings) { s.Metadata.ServiceAccount = "" })
	for path, status := range map[string]int{
		tokenPath: 404, "/computeMetadata/v1/instance/service-accounts/default/scopes": 404,
		"/computeMetadata/v1/instance/service-accounts/": 200, "/computeMetadata/v1/project/project-id": 200,
	} {
		if answer := g.get(path); answer.Code != status {
			t.Errorf("%s: status %d, want %d", path, answer.Code, status)
		}
	}
}

func TestATokenIsRepeatedWithLessLifeUntilShortlyBeforeItsEnd(t *testing.T) {
	g := newRig()
	first := g.get(tokenPath)
	token := access(t, first)
	if known, ok := g.Token(token); !ok || known.Principal != Account(nodeAccount) || known.Service != "metadata" ||
		len(known.Scopes) != 2 || known.Universe != "googleapis.com" {
		t.Errorf("known %+v, %t", known, ok)
	}
	for _, step := range []struct {
		ahead time.Duration
		left  float64
		same  bool
	}{
		{0, 3599, true},
		{30 * time.Minute, 1799, true},
		{54 * time.Minute, 359, true},
		{56 * time.Minute, 3599, false},
		{80 * time.Minute, 2159, false},
	} {
		g.Configure(func(s *Settings) { s.Clock = step.ahead })
		answer := cloudtest.Object(t, g.get(tokenPath))
		if left, _ := answer["expires_in"].(float64); left < step.left-1 || left > step.left+1 {
			t.Errorf("after %s %v s are left, want %v", step.ahead, left, step.left)
		}
		if same := answer["access_token"] == token; same != step.same {
			t.Errorf("after %s the first token is repeated: %t, want %t", step.ahead, same, step.same)
		}
	}
	if issued := g.Issued("metadata"); issued != 2 {
		t.Errorf("%d tokens were issued, want 2", issued)
	}
}

func TestWhenATokenIsRenewedCanBeSaid(t *testing.T) {
	g := newRig()
	g.Configure(func(s *Settings) {
		s.Metadata.Token.Life, s.Metadata.RenewBefore = time.Minute, 10*time.Second
	})
	first := access(t, g.get(tokenPath))
	g.Configure(func(s *Settings) { s.Clock = 30 * time.Second })
	if access(t, g.get(tokenPath)) != first {
		t.Error("another token before it was time")
	}
	g.Configure(func(s *Settings) { s.Clock = 51 * time.Second })
	if access(t, g.get(tokenPath)) == first {
		t.Error("the old token after it was time")
	}
}

func TestAChangedServiceAccountHasATokenOfItsOwn(t *testing.T) {
	g := newRig()
	first := access(t, g.get(tokenPath))
	g.Configure(func(s *Settings) { s.Metadata.ServiceAccount = pullAccount })
	second := access(t, g.get(tokenPath))
	if known, _ := g.Token(second); first == second || known.Principal != Account(pullAccount) {
		t.Errorf("the token of %s", known.Principal)
	}
}

func TestMetadataInTrouble(t *testing.T) {
	t.Run("disabled", func(t *testing.T) {
		g := newRig()
		g.Configure(func(s *Settings) { s.Metadata.Disabled = true })
		if answer := g.get(tokenPath); answer.Code != 403 {
			t.Errorf("status %d", answer.Code)
		}
		g.wantViolations(t, 0)
	})
	t.Run("booting", func(t *testing.T) {
		g := newRig()
		g.faults.First(2, "metadata", "GetToken", cloud.Refusal{Status: 503})
		for _, want := range []int{503, 503, 200} {
			if answer := g.get(tokenPath); answer.Code != want || answer.Header().Get("Metadata-Flavor") != "Google" {
				t.Errorf("status %d and %v, want %d", answer.Code, answer.Header(), want)
			}
		}
	})
	t.Run("something else answers", func(t *testing.T) {
		g := newRig()
		g.Configure(func(s *Settings) { s.Metadata.Impostor = true })
		if answer := g.get(tokenPath); answer.Code != 404 || answer.Header().Get("Metadata-Flavor") != "" {
			t.Errorf("status %d and %v", answer.Code, answer.Header())
		}
	})
	t.Run("without a mark", func(t *testing.T) {
		g := newRig()
		g.Configure(func(s *Settings) { s.Metadata.Unmarked = true })
		if answer := g.get(tokenPath); answer.Code != 200 || answer.Header().Get("Metadata-Flavor") != "" {
			t.Errorf("status %d and %v", answer.Code, answer.Header())
		}
	})
	t.Run("another universe", func(t *testing.T) {
		g := newRig()
		g.Configure(func(s *Settings) { s.Metadata.Universe = "apis-berlin-build0.goog" })
		if answer := g.get("/computeMetadata/v1/universe/universe-domain"); answer.Body.String() != "apis-berlin-build0.goog" {
			t.Errorf("answer %s", answer.Body)
		}
		if known, _ := g.Token(access(t, g.get(tokenPath))); known.Universe != "apis-berlin-build0.goog" {
			t.Errorf("a token of %s", known.Universe)
		}
	})
}

func TestTokensOfNoUse(t *testing.T) {
	for name, test := range map[string]struct {
		shape fake.TokenShape
		wrong func(fields map[string]any) bool
	}{
		"no fields":   {fake.NoFields, func(fields map[string]any) bool { return len(fields) == 0 }},
		"empty":       {fake.EmptyToken, func(fields map[string]any) bool { return fields["access_token"] == "" }},
		"no expiry":   {fake.NoExpiry, func(fields map[string]any) bool { _, there := fields["expires_in"]; return !there }},
		"expires now": {fake.ExpiresNow, func(fields map[string]any) bool { return fields["expires_in"] == float64(0) }},
		"expired":     {fake.ExpiredLong, func(fields map[string]any) bool { return fields["expires_in"] == float64(-3600) }},
		"longest": {fake.LongestToken, func(fields map[string]any) bool {
			token, _ := fields["access_token"].(string)
			return len(token) > 12000 && len(token) <= 12288
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig()
			g.Configure(func(s *Settings) { s.Metadata.Token.Shape = test.shape })
			answer := g.get(tokenPath)
			if answer.Code != 200 || !test.wrong(cloudtest.Object(t, answer)) {
				t.Errorf("answer %d %s", answer.Code, answer.Body)
			}
		})
	}
}
