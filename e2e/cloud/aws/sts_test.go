package aws

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/oidc"
)

const (
	stsHost  = "sts.us-east-1.amazonaws.com"
	formKind = "application/x-www-form-urlencoded"
)

var puller = oidc.ServiceAccount{Namespace: "shop", Name: "puller", UID: "1", Pod: "web-0", PodUID: "2"}

// podRig has a role that a service account may assume.
func podRig() rig {
	g := newRig()
	g.AddRole(Role{ARN: podRole, Allow: []Action{ECRToken}, Subjects: []string{puller.Subject()}})
	return g
}

func (g rig) token(t *testing.T, account oidc.ServiceAccount, audience string, ttl time.Duration) string {
	t.Helper()
	token, err := g.Issuer.Token(account, audience, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (g rig) askSTS(t *testing.T, fields url.Values) *httptest.ResponseRecorder {
	t.Helper()
	return serve(g.api(endpointAt(t, stsHost)), post(stsHost, formKind, fields.Encode()))
}

func webIdentity(token string) url.Values {
	return url.Values{
		"Action":           {"AssumeRoleWithWebIdentity"},
		"Version":          {"2011-06-15"},
		"RoleArn":          {podRole},
		"RoleSessionName":  {"shop.puller"},
		"WebIdentityToken": {token},
		"DurationSeconds":  {"900"},
	}
}

// assumed is an answer of either action.
type assumed struct {
	XMLName  xml.Name
	Web      assumedResult `xml:"AssumeRoleWithWebIdentityResult"`
	Role     assumedResult `xml:"AssumeRoleResult"`
	Metadata struct {
		RequestID string `xml:"RequestId"`
	} `xml:"ResponseMetadata"`
}

type assumedResult struct {
	AssumedRoleUser             assumedRoleUser
	Audience                    string
	Provider                    string
	Credentials                 stsCredentials
	SubjectFromWebIdentityToken string
}

func parseAssumed(t *testing.T, answer *httptest.ResponseRecorder) assumed {
	t.Helper()
	var parsed assumed
	if err := xml.Unmarshal(answer.Body.Bytes(), &parsed); err != nil {
		t.Fatalf("%v: %s", err, answer.Body)
	}
	if answer.Code != 200 || parsed.XMLName.Space != "https://sts.amazonaws.com/doc/2011-06-15/" || parsed.Metadata.RequestID == "" {
		t.Fatalf("answer %d %s", answer.Code, answer.Body)
	}
	return parsed
}

func TestWebIdentityAnswersCredentialsOfTheRole(t *testing.T) {
	g := podRig()
	result := parseAssumed(t, g.askSTS(t, webIdentity(g.token(t, puller, "sts.amazonaws.com", time.Hour)))).Web
	if result.AssumedRoleUser.Arn != "arn:aws:sts::123456789012:assumed-role/shop-pull/shop.puller" ||
		result.Audience != "sts.amazonaws.com" ||
		result.SubjectFromWebIdentityToken != "system:serviceaccount:shop:puller" ||
		result.Provider != "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF" {
		t.Errorf("result %+v", result)
	}
	expires, err := time.Parse(time.RFC3339, result.Credentials.Expiration)
	if left := time.Until(expires); err != nil || left < 14*time.Minute || left > 15*time.Minute {
		t.Errorf("expires in %s, %v", left, err)
	}

	// The credentials work, and the password says whose they are.
	request := ecrRequest()
	sign(t, request, Credentials{
		AccessKeyID:     result.Credentials.AccessKeyID,
		SecretAccessKey: result.Credentials.SecretAccessKey,
		SessionToken:    result.Credentials.SessionToken,
	}, signing{service: "ecr", region: "us-east-1", at: time.Now(), body: "{}"})
	token, _ := g.Token(passwordOf(t, serve(g.ecrHandler(t), request).Body.Bytes()))
	if token.Principal.Role != podRole {
		t.Errorf("principal %+v", token.Principal)
	}
	for _, secret := range []string{result.Credentials.SecretAccessKey, result.Credentials.SessionToken} {
		if strings.Contains(g.calls.String(), secret) {
			t.Error("the journal holds a secret")
		}
	}
}

func TestWebIdentityRefusals(t *testing.T) {
	set := func(name, value string) func(url.Values) {
		return func(fields url.Values) { fields.Set(name, value) }
	}
	g := podRig()
	other := newRig()
	other.Issuer = oidc.NewIssuer(g.Issuer.URL)
	tests := []struct {
		name   string
		change func(url.Values)
		status int
		code   string
		form   bool
	}{
		{"another key", set("WebIdentityToken", other.token(t, puller, "sts.amazonaws.com", time.Hour)), 400, "InvalidIdentityToken", false},
		{"no token at all", set("WebIdentityToken", "not.a.token"), 400, "InvalidIdentityToken", false},
		{"empty token", set("WebIdentityToken", ""), 400, "ValidationError", true},
		{"another audience", set("WebIdentityToken", g.token(t, puller, "https://kubernetes.default.svc", time.Hour)), 400, "InvalidIdentityToken", false},
		{"expired token", set("WebIdentityToken", g.token(t, puller, "sts.amazonaws.com", -time.Second)), 400, "ExpiredTokenException", false},
		{"another subject", set("WebIdentityToken", g.token(t, oidc.ServiceAccount{Namespace: "shop", Name: "other"}, "sts.amazonaws.com", time.Hour)), 403, "AccessDenied", false},
		{"role without trust", set("RoleArn", nodeRole), 403, "AccessDenied", false},
		{"role that does not exist", set("RoleArn", "arn:aws:iam::123456789012:role/none"), 403, "AccessDenied", false},
		{"role of another partition", set("RoleArn", "arn:aws-cn:iam::123456789012:role/shop-pull"), 400, "ValidationError", true},
		{"role that is no ARN", set("RoleArn", "shop-pull"), 400, "ValidationError", true},
		{"session name of one character", set("RoleSessionName", "x"), 400, "ValidationError", true},
		{"session name with a colon", set("RoleSessionName", "shop:puller"), 400, "ValidationError", true},
		{"session name of 65 characters", set("RoleSessionName", strings.Repeat("x", 65)), 400, "ValidationError", true},
		{"no session name", func(fields url.Values) { fields.Del("RoleSessionName") }, 400, "ValidationError", true},
		{"duration too short", set("DurationSeconds", "899"), 400, "ValidationError", true},
		{"duration not a number", set("DurationSeconds", "1h"), 400, "ValidationError", true},
		{"duration longer than the role allows", set("DurationSeconds", "3601"), 400, "ValidationError", false},
		{"misspelt field", set("RoleARN", podRole), 400, "ValidationError", true},
		{"field twice", func(fields url.Values) { fields.Add("RoleArn", nodeRole) }, 400, "MalformedInput", true},
		{"policy that is no JSON", set("Policy", "{"), 400, "MalformedPolicyDocument", true},
		{"no action", func(fields url.Values) { fields.Del("Action") }, 400, "MissingAction", true},
		{"unknown action", set("Action", "AssumeRoleWithSAML"), 400, "InvalidAction", true},
		{"another version", set("Version", "2010-05-08"), 400, "InvalidAction", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g.calls.Reset()
			fields := webIdentity(g.token(t, puller, "sts.amazonaws.com", time.Hour))
			test.change(fields)
			checkRefused(t, g, g.askSTS(t, fields), test.status, test.code, test.form)
		})
	}
}

// checkRefused reads a refusal of STS.
func checkRefused(t *testing.T, g rig, answer *httptest.ResponseRecorder, status int, code string, form bool) {
	t.Helper()
	var refused stsError
	if err := xml.Unmarshal(answer.Body.Bytes(), &refused); err != nil {
		t.Fatalf("%v: %s", err, answer.Body)
	}
	if answer.Code != status || refused.Error.Code != code || refused.Error.Type != "Sender" || refused.RequestID == "" {
		t.Errorf("answer %d %+v, want %d %s", answer.Code, refused.Error, status, code)
	}
	if got := len(g.calls.Violations()) == 1; got != form {
		t.Errorf("violations: %v", g.calls.Violations())
	}
}

func TestWebIdentityIsNotSigned(t *testing.T) {
	g := podRig()
	body := webIdentity(g.token(t, puller, "sts.amazonaws.com", time.Hour)).Encode()
	request := post(stsHost, formKind, body)
	sign(t, request, g.node(t), signing{service: "sts", region: "us-east-1", at: time.Now(), body: body})
	checkRefused(t, g, serve(g.api(endpointAt(t, stsHost)), request), 400, "IncompleteSignature", true)
}

func TestOptionalFieldsOfWebIdentity(t *testing.T) {
	g := podRig()
	fields := webIdentity(g.token(t, puller, "sts.amazonaws.com", time.Hour))
	fields.Del("DurationSeconds")
	fields.Set("Policy", `{"Version":"2012-10-17","Statement":[]}`)
	fields.Set("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly")
	result := parseAssumed(t, g.askSTS(t, fields)).Web
	expires, err := time.Parse(time.RFC3339, result.Credentials.Expiration)
	if left := time.Until(expires); err != nil || left < 59*time.Minute {
		t.Errorf("expires in %s, %v; want an hour", left, err)
	}
}

const crossRole = "arn:aws:iam::999999999999:role/pull"

func TestAssumeRole(t *testing.T) {
	user := User{ARN: "arn:aws:iam::123456789012:user/baker"}
	tests := []struct {
		name   string
		trust  Role
		holder func(g rig) Credentials
		change func(url.Values)
		how    func(*signing)
		status int
		code   string
		form   bool
	}{
		{name: "the node's role is trusted", trust: Role{Principals: []string{nodeRole}}, status: 200},
		{name: "a user is trusted", trust: Role{Principals: []string{user.ARN}}, status: 200,
			holder: func(g rig) Credentials { return g.AddUser(user) }},
		{name: "external id fits", trust: Role{Principals: []string{nodeRole}, ExternalID: "tenant-7"}, status: 200,
			change: func(fields url.Values) { fields.Set("ExternalId", "tenant-7") }},
		{name: "external id is missing", trust: Role{Principals: []string{nodeRole}, ExternalID: "tenant-7"}, status: 403, code: "AccessDenied"},
		{name: "nobody is trusted", status: 403, code: "AccessDenied"},
		{name: "external id of one character", trust: Role{Principals: []string{nodeRole}}, status: 400, code: "ValidationError", form: true,
			change: func(fields url.Values) { fields.Set("ExternalId", "7") }},
		{name: "longer than a chain allows", trust: Role{Principals: []string{nodeRole}, MaxSession: 12 * time.Hour}, status: 400, code: "ValidationError",
			change: func(fields url.Values) { fields.Set("DurationSeconds", "7200") }},
		{name: "signed for another region", trust: Role{Principals: []string{nodeRole}}, status: 403, code: "SignatureDoesNotMatch", form: true,
			how: func(s *signing) { s.region = "us-west-2" }},
		{name: "signed too late", trust: Role{Principals: []string{nodeRole}}, status: 403, code: "SignatureDoesNotMatch",
			how: func(s *signing) { s.at = s.at.Add(-time.Hour) }},
		{name: "unknown access key", trust: Role{Principals: []string{nodeRole}}, status: 403, code: "InvalidClientTokenId",
			holder: func(rig) Credentials { return Credentials{AccessKeyID: "AKIANOBODY", SecretAccessKey: "x"} }},
		{name: "expired session", trust: Role{Principals: []string{nodeRole}}, status: 403, code: "ExpiredToken",
			holder: func(g rig) Credentials { return g.openSession(Role{ARN: nodeRole}, "i-1", -time.Second) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newRig()
			test.trust.ARN = crossRole
			g.AddRole(test.trust)
			credentials := g.node(t)
			if test.holder != nil {
				credentials = test.holder(g)
			}
			fields := url.Values{
				"Action": {"AssumeRole"}, "Version": {"2011-06-15"},
				"RoleArn": {crossRole}, "RoleSessionName": {"regcred"}, "DurationSeconds": {"900"},
			}
			if test.change != nil {
				test.change(fields)
			}
			body := fields.Encode()
			request := post(stsHost, formKind+"; charset=utf-8", body)
			how := signing{service: "sts", region: "us-east-1", at: time.Now(), body: body}
			if test.how != nil {
				test.how(&how)
			}
			sign(t, request, credentials, how)
			answer := serve(g.api(endpointAt(t, stsHost)), request)
			if test.status != http.StatusOK {
				checkRefused(t, g, answer, test.status, test.code, test.form)
				return
			}
			result := parseAssumed(t, answer).Role
			if result.AssumedRoleUser.Arn != "arn:aws:sts::999999999999:assumed-role/pull/regcred" {
				t.Errorf("result %+v", result)
			}
		})
	}
}

func TestAssumeRoleMustBeSigned(t *testing.T) {
	g := newRig()
	answer := g.askSTS(t, url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {crossRole}, "RoleSessionName": {"regcred"},
	})
	checkRefused(t, g, answer, 403, "MissingAuthenticationToken", true)
}
