package aws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// getToken signs a request in the name of the node and sends it.
func (g rig) getToken(t *testing.T, request *http.Request, service string) *httptest.ResponseRecorder {
	t.Helper()
	body, err := io.ReadAll(request.Body)
	if err != nil {
		t.Fatal(err)
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	sign(t, request, g.node(t), signing{service: service, region: "us-east-1", at: time.Now(), body: string(body)})
	return serve(g.api(endpointAt(t, request.Host)), request)
}

func TestECRAnswersAListWithAnExponentTime(t *testing.T) {
	g := newRig()
	answer := g.getToken(t, ecrRequest(), "ecr")
	form := regexp.MustCompile(`^\{"authorizationData":\[\{"authorizationToken":"[A-Za-z0-9+/=]+",` +
		`"expiresAt":1\.\d+E9,"proxyEndpoint":"https://123456789012\.dkr\.ecr\.us-east-1\.amazonaws\.com"\}\]\}\n$`)
	if !form.MatchString(answer.Body.String()) || answer.Header().Get("Content-Type") != jsonType {
		t.Errorf("answer %v %.300s", answer.Header(), answer.Body)
	}
	if answer.Header().Get("X-Amzn-Requestid") == "" {
		t.Error("no request id")
	}
}

func TestTheFakeRemembersWhoGotAPassword(t *testing.T) {
	g := newRig()
	before := time.Now()
	password := passwordOf(t, g.getToken(t, ecrRequest(), "ecr").Body.Bytes())
	token, ok := g.Token(password)
	if !ok || token.Service != "ecr" || token.Region != "us-east-1" || token.Principal.Role != nodeRole ||
		token.Principal.ARN != "arn:aws:sts::123456789012:assumed-role/node/i-1" || token.Principal.Account() != "123456789012" {
		t.Errorf("token %+v, %t", token, ok)
	}
	if life := token.Expires.Sub(before); life < 12*time.Hour || life > 12*time.Hour+time.Minute {
		t.Errorf("life %s, want 12h", life)
	}
	if other := passwordOf(t, g.getToken(t, ecrRequest(), "ecr").Body.Bytes()); other == password {
		t.Error("two calls got the same password")
	}
	if _, ok := g.Token("made up"); ok {
		t.Error("a made-up password is known")
	}
	if strings.Contains(g.calls.String(), password) {
		t.Error("the journal holds the password")
	}
}

// passwordOf takes the password out of an answer of ECR.
func passwordOf(t *testing.T, body []byte) string {
	t.Helper()
	return passwordIn(t, tokenOf(t, body))
}

// tokenOf takes the authorization token out of an answer of ECR.
func tokenOf(t *testing.T, body []byte) string {
	t.Helper()
	var answer struct {
		AuthorizationData []struct{ AuthorizationToken string }
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.AuthorizationData) != 1 {
		t.Fatalf("%v: %.200s", err, body)
	}
	return answer.AuthorizationData[0].AuthorizationToken
}

// passwordIn takes the password out of an authorization token.
func passwordIn(t *testing.T, token string) string {
	t.Helper()
	decoded, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	user, password, ok := strings.Cut(string(decoded), ":")
	if !ok || user != "AWS" {
		t.Fatalf("token of user %q", user)
	}
	return password
}

func TestECRChecksTheFormOfARequest(t *testing.T) {
	tests := []struct {
		name   string
		change func(*http.Request)
		code   string
	}{
		{"GET", func(r *http.Request) { r.Method = http.MethodGet }, "UnknownOperationException"},
		{"another path", func(r *http.Request) { r.URL.Path = "/v2" }, "UnknownOperationException"},
		{"a query", func(r *http.Request) { r.URL.RawQuery = "a=b" }, "UnknownOperationException"},
		{"no target", func(r *http.Request) { r.Header.Del("X-Amz-Target") }, "UnknownOperationException"},
		{"target of the public registry", func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "SpencerFrontendService.GetAuthorizationToken")
		}, "UnknownOperationException"},
		{"content type", func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, "SerializationException"},
		{"body is no object", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("null")) }, "SerializationException"},
		{"body is empty", func(r *http.Request) { r.Body = http.NoBody }, "SerializationException"},
		{"registry id of 11 digits", func(r *http.Request) {
			*r = *withBody(r, `{"registryIds":["12345678901"]}`)
		}, "InvalidParameterException"},
		{"no registry ids in the list", func(r *http.Request) { *r = *withBody(r, `{"registryIds":[]}`) }, "InvalidParameterException"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newRig()
			request := ecrRequest()
			test.change(request)
			answer := g.getToken(t, request, "ecr")
			if answer.Code != 400 || !strings.Contains(answer.Body.String(), `"__type":"`+test.code+`"`) {
				t.Errorf("answer %d %s, want %s", answer.Code, answer.Body, test.code)
			}
			if len(g.calls.Violations()) != 1 {
				t.Errorf("violations: %v", g.calls.Violations())
			}
		})
	}
	g := newRig()
	if answer := g.getToken(t, withBody(ecrRequest(), `{"registryIds":["012345678901"]}`), "ecr"); answer.Code != 200 {
		t.Errorf("the deprecated registryIds is refused: %d %s", answer.Code, answer.Body)
	}
}

// withBody is a request with another body.
func withBody(r *http.Request, body string) *http.Request {
	changed := post(r.Host, r.Header.Get("Content-Type"), body)
	changed.Header = r.Header
	return changed
}

func TestPermissionsCountAtOnce(t *testing.T) {
	g := newRig()
	g.AddRole(Role{ARN: nodeRole})
	answer := g.getToken(t, ecrRequest(), "ecr")
	if answer.Code != 400 || !strings.Contains(answer.Body.String(), "AccessDeniedException") ||
		!strings.Contains(answer.Body.String(), "assumed-role/node/i-1 is not authorized to perform: ecr:GetAuthorizationToken") {
		t.Errorf("answer %d %s", answer.Code, answer.Body)
	}
	if violations := g.calls.Violations(); len(violations) != 0 {
		t.Errorf("a denial is no violation: %v", violations)
	}
}

func publicRequest() *http.Request {
	request := post("api.ecr-public.us-east-1.amazonaws.com", jsonType, "{}")
	request.Header.Set("X-Amz-Target", "SpencerFrontendService.GetAuthorizationToken")
	return request
}

func TestECRPublicAnswersAnObject(t *testing.T) {
	g := newRig()
	answer := g.getToken(t, publicRequest(), "ecr-public")
	form := regexp.MustCompile(`^\{"authorizationData":\{"authorizationToken":"[^"]+","expiresAt":1\.\d+E9\}\}\n$`)
	if !form.MatchString(answer.Body.String()) {
		t.Errorf("answer %d %.300s", answer.Code, answer.Body)
	}
}

func TestECRPublicNeedsABearerTokenToo(t *testing.T) {
	g := newRig()
	g.AddRole(Role{ARN: nodeRole, Allow: []Action{ECRPublicToken}})
	answer := g.getToken(t, publicRequest(), "ecr-public")
	if answer.Code != 400 || !strings.Contains(answer.Body.String(), "sts:GetServiceBearerToken") {
		t.Errorf("answer %d %s", answer.Code, answer.Body)
	}
}

func TestTokenShapes(t *testing.T) {
	tests := []struct {
		name     string
		settings TokenSettings
		form     string // of the answer
		content  string // what its token decodes to; empty: not looked at
	}{
		{"past expiry", TokenSettings{Life: -time.Hour}, `"expiresAt":1\.\d+E9`, `^AWS:[^:]+$`},
		{"no expiry", TokenSettings{Shape: NoExpiry}, `^\{"authorizationData":\[\{"authorizationToken":"[^"]+","proxyEndpoint":"[^"]+"\}\]\}`, `^AWS:[^:]+$`},
		{"no data", TokenSettings{Shape: NoData}, `^\{"authorizationData":\[\]\}`, ""},
		{"empty token", TokenSettings{Shape: EmptyToken}, `"authorizationToken":"",`, ""},
		{"no colon", TokenSettings{Shape: NoColon}, `"authorizationToken":"[^"]+"`, `^[^:]+$`},
		{"empty password", TokenSettings{Shape: EmptyPassword}, `"authorizationToken":"[^"]+"`, `^AWS:$`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newRig()
			g.Configure(func(s *Settings) { s.Token = test.settings })
			answer := g.getToken(t, ecrRequest(), "ecr")
			if answer.Code != 200 || !regexp.MustCompile(test.form).MatchString(answer.Body.String()) {
				t.Fatalf("answer %d %.300s", answer.Code, answer.Body)
			}
			if test.content == "" {
				return
			}
			content, err := base64.StdEncoding.DecodeString(tokenOf(t, answer.Body.Bytes()))
			if err != nil || !regexp.MustCompile(test.content).Match(content) {
				t.Errorf("the token is of %.20q…, %v, want %s", content, err, test.content)
			}
		})
	}
}

func TestFaultsAreWordedAsTheServiceDoes(t *testing.T) {
	g := newRig()
	throttled := Throttled()
	throttled.RetryAfter = 3 * time.Second
	g.faults.First(1, "ecr", "GetAuthorizationToken", throttled)
	answer := g.getToken(t, ecrRequest(), "ecr")
	if answer.Code != 400 || answer.Header().Get("Retry-After") != "3" ||
		answer.Body.String() != `{"__type":"ThrottlingException","message":"Rate exceeded"}` {
		t.Errorf("answer %d %v %s", answer.Code, answer.Header(), answer.Body)
	}
	g.faults.First(1, "ecr", "", ServerError())
	if answer := g.getToken(t, ecrRequest(), "ecr"); answer.Code != 500 {
		t.Errorf("answer %d %s", answer.Code, answer.Body)
	}
	if answer := g.getToken(t, ecrRequest(), "ecr"); answer.Code != 200 {
		t.Errorf("after the faults: %d %s", answer.Code, answer.Body)
	}
	want := []int{400, 500, 200}
	for i, call := range g.calls.Of("ecr", "GetAuthorizationToken") {
		if call.Status != want[i] {
			t.Errorf("call %d is journalled with status %d, want %d", i+1, call.Status, want[i])
		}
	}
}

func TestLatencyDelaysAPIs(t *testing.T) {
	g := newRig()
	g.Configure(func(s *Settings) { s.Latency = 50 * time.Millisecond })
	begin := time.Now()
	g.getToken(t, ecrRequest(), "ecr")
	if took := time.Since(begin); took < 50*time.Millisecond {
		t.Errorf("took %s", took)
	}
}
