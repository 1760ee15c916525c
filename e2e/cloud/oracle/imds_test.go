package oracle

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"regcred/e2e/cloud"
)

func TestIMDSRefusesWhatIsNoProgramOnTheInstance(t *testing.T) {
	const path = "/opc/v2/instance/regionInfo"
	for name, test := range map[string]struct {
		method, path string
		headers      []string
		status       int
	}{
		"a program on the instance": {http.MethodGet, path, []string{"Authorization", "Bearer Oracle"}, 200},
		"no header":                 {http.MethodGet, path, nil, 401},
		"another header":            {http.MethodGet, path, []string{"Authorization", "Bearer oracle"}, 401},
		"through a proxy":           {http.MethodGet, path, []string{"Authorization", "Bearer Oracle", "X-Forwarded-For", "10.0.0.1"}, 403},
		"forwarded":                 {http.MethodGet, path, []string{"Authorization", "Bearer Oracle", "Forwarded", "for=10.0.0.1"}, 403},
		"POST":                      {http.MethodPost, path, []string{"Authorization", "Bearer Oracle"}, 405},
		"version 1":                 {http.MethodGet, "/opc/v1/instance/region", []string{"Authorization", "Bearer Oracle"}, 404},
		"nothing":                   {http.MethodGet, "/opc/v2/identity/other.pem", []string{"Authorization", "Bearer Oracle"}, 404},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			request := httptest.NewRequest(test.method, "http://169.254.169.254"+test.path, nil)
			for i := 0; i < len(test.headers); i += 2 {
				request.Header.Set(test.headers[i], test.headers[i+1])
			}
			answer := ask(g.IMDS(), request)
			if answer.Code != test.status {
				t.Errorf("status %d, want %d", answer.Code, test.status)
			}
			violations := 1
			if test.status == 200 {
				violations = 0
			} else if kind := answer.Header().Get("Content-Type"); kind != "text/html" {
				t.Errorf("refuses as %s", kind)
			}
			g.wantViolations(violations)
		})
	}
}

func TestIMDSDocuments(t *testing.T) {
	g := newRig(t)
	get := func(path string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(http.MethodGet, "http://169.254.169.254/opc/v2/"+path, nil)
		request.Header.Set("Authorization", "Bearer Oracle")
		return ask(g.IMDS(), request)
	}
	for path, want := range map[string]string{
		"instance/region":           "iad",
		"instance/regionInfo":       `"realmDomainComponent":"oraclecloud.com"`,
		"identity/cert.pem":         "BEGIN CERTIFICATE",
		"identity/intermediate.pem": "BEGIN CERTIFICATE",
		"identity/key.pem":          "BEGIN RSA PRIVATE KEY",
	} {
		if answer := get(path); answer.Code != 200 || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	g.Configure(func(s *Settings) { s.NoIdentity = true })
	if answer := get("identity/cert.pem"); answer.Code != 404 {
		t.Errorf("without an identity: %d", answer.Code)
	}
	g.Faults.First(1, "imds", "", cloud.Refusal{Status: 429, Code: "Too Many Requests"})
	if answer := get("instance/region"); answer.Code != 429 || !strings.HasPrefix(answer.Body.String(), "<html>") {
		t.Errorf("throttled: %d %s", answer.Code, answer.Body)
	}
	g.wantViolations(0)
}
