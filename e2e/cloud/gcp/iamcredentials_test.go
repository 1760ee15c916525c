package gcp

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

const pullPath = "/v1/projects/-/serviceAccounts/" + pullAccount + ":generateAccessToken"

func (g rig) impersonate(path, bearer, body string) *httptest.ResponseRecorder {
	headers := []string{"Content-Type", "application/json"}
	if bearer != "" {
		headers = append(headers, "Authorization", "Bearer "+bearer)
	}
	return cloudtest.Send(g.IAMCredentials(), http.MethodPost, "https://iamcredentials.googleapis.com"+path, body, headers...)
}

// impersonatorRig has a service account that the puller may be.
func impersonatorRig() (rig, Principal) {
	g := podRig()
	principal := WorkloadIdentity("123456789012", "clusters", "main").Principal(puller.Subject())
	g.AddServiceAccount(ServiceAccount{Email: pullAccount, Impersonators: []Principal{principal}})
	return g, principal
}

// federated exchanges a token of the puller.
func (g rig) federated(t *testing.T) string {
	t.Helper()
	return access(t, g.askSTS(formKind, exchange(wifAudience, g.workload(t, wifAudience, time.Hour)).Encode()))
}

const fullRequest = `{"lifetime":"1800s","scope":["` + StorageReadOnly + `"],"delegates":[]}`

func TestImpersonationAnswersATokenOfTheServiceAccount(t *testing.T) {
	g, _ := impersonatorRig()
	answer := g.impersonate(pullPath, g.federated(t), fullRequest)
	fields := cloudtest.Object(t, answer)
	if answer.Code != 200 || len(fields) != 2 {
		t.Fatalf("answer %d %s", answer.Code, answer.Body)
	}
	token, _ := fields["accessToken"].(string)
	known, ok := g.Token(token)
	if !ok || known.Principal != Account(pullAccount) || known.Service != "iamcredentials" || !known.allows(StorageReadOnly) || known.allows(CloudPlatform) {
		t.Errorf("known %+v, %t", known, ok)
	}
	text, _ := fields["expireTime"].(string)
	expires, err := time.Parse(time.RFC3339, text)
	if left := time.Until(expires); err != nil || left < 29*time.Minute || left > 30*time.Minute {
		t.Errorf("expires in %s, %v", left, err)
	}
	g.wantViolations(t, 0)
}

func TestImpersonationsThatAreRefused(t *testing.T) {
	g, _ := impersonatorRig()
	federated := g.federated(t)
	stranger := access(t, g.get(tokenPath))
	g.Configure(func(s *Settings) { s.STS.Shape = fake.ExpiredLong })
	expired := g.federated(t)
	g.AddServiceAccount(ServiceAccount{Email: nodeAccount})
	tests := []struct {
		name, path, bearer, body string
		status                   int
		code                     string
		form                     bool
	}{
		{"no token", pullPath, "", fullRequest, 401, "UNAUTHENTICATED", true},
		{"a token that nobody issued", pullPath, "ya29.made-up", fullRequest, 401, "UNAUTHENTICATED", true},
		{"an expired token", pullPath, expired, fullRequest, 401, "UNAUTHENTICATED", false},
		{"scopes that do not reach", pullPath, stranger, fullRequest, 403, "PERMISSION_DENIED", false},
		{"no permission", "/v1/projects/-/serviceAccounts/" + nodeAccount + ":generateAccessToken", federated, fullRequest, 403, "PERMISSION_DENIED", false},
		{"no such account", "/v1/projects/-/serviceAccounts/none@example-project.iam.gserviceaccount.com:generateAccessToken", federated, fullRequest, 403, "PERMISSION_DENIED", false},
		{"a delegate without permission", pullPath, federated, `{"scope":["` + CloudPlatform + `"],"delegates":["projects/-/serviceAccounts/` + nodeAccount + `"]}`, 403, "PERMISSION_DENIED", false},
		{"a named project", "/v1/projects/example-project/serviceAccounts/" + pullAccount + ":generateAccessToken", federated, fullRequest, 404, "NOT_FOUND", true},
		{"a path in the place of an email", "/v1/projects/-/serviceAccounts/../x:generateAccessToken", federated, fullRequest, 404, "NOT_FOUND", true},
		{"another method", "/v1/projects/-/serviceAccounts/" + pullAccount + ":signJwt", federated, fullRequest, 404, "NOT_FOUND", true},
		{"no scope", pullPath, federated, `{"lifetime":"3600s"}`, 400, "INVALID_ARGUMENT", true},
		{"a scope that is none", pullPath, federated, `{"scope":["cloud-platform"]}`, 400, "INVALID_ARGUMENT", true},
		{"two hours", pullPath, federated, `{"lifetime":"7200s","scope":["` + CloudPlatform + `"]}`, 400, "INVALID_ARGUMENT", true},
		{"a life in other units", pullPath, federated, `{"lifetime":"1h","scope":["` + CloudPlatform + `"]}`, 400, "INVALID_ARGUMENT", true},
		{"an unknown field", pullPath, federated, `{"scopes":["` + CloudPlatform + `"]}`, 400, "INVALID_ARGUMENT", true},
		{"a delegate that is none", pullPath, federated, `{"scope":["` + CloudPlatform + `"],"delegates":["` + nodeAccount + `"]}`, 400, "INVALID_ARGUMENT", true},
		{"a form", pullPath, federated, "lifetime=3600s", 400, "INVALID_ARGUMENT", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g.calls.Reset()
			answer := g.impersonate(test.path, test.bearer, test.body)
			refused, _ := cloudtest.Object(t, answer)["error"].(map[string]any)
			if answer.Code != test.status || refused["status"] != test.code || refused["code"] != float64(test.status) || refused["message"] == "" {
				t.Errorf("answer %d %s, want %d %s", answer.Code, answer.Body, test.status, test.code)
			}
			if form := len(g.calls.Violations()) == 1; form != test.form {
				t.Errorf("violations %v", g.calls.Violations())
			}
		})
	}
}

func TestImpersonationThroughADelegate(t *testing.T) {
	g, principal := impersonatorRig()
	g.AddServiceAccount(ServiceAccount{Email: nodeAccount, Impersonators: []Principal{principal}})
	g.AddServiceAccount(ServiceAccount{Email: pullAccount, Impersonators: []Principal{Account(nodeAccount)}})
	federated := g.federated(t)
	if answer := g.impersonate(pullPath, federated, fullRequest); answer.Code != 403 {
		t.Errorf("without the delegate: status %d", answer.Code)
	}
	answer := g.impersonate(pullPath, federated, `{"scope":["`+CloudPlatform+`"],"delegates":["projects/-/serviceAccounts/`+nodeAccount+`"]}`)
	if answer.Code != 200 {
		t.Errorf("answer %d %s", answer.Code, answer.Body)
	}
}
