package aws

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSignatureIsVerified(t *testing.T) {
	const (
		unrecognized = "UnrecognizedClientException"
		invalid      = "InvalidSignatureException"
		incomplete   = "IncompleteSignatureException"
		missing      = "MissingAuthenticationTokenException"
		expired      = "ExpiredTokenException"
	)
	replace := func(header, old, with string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(header, strings.Replace(r.Header.Get(header), old, with, 1)) }
	}
	tests := []struct {
		name    string
		holder  func(*Credentials)
		before  func(*http.Request) // changes what is signed
		how     func(*signing)
		after   func(*http.Request) // changes what has been signed
		code    string              // empty: accepted
		message string
		form    bool
	}{
		{name: "accepted"},
		{name: "accepted with more headers signed", before: func(r *http.Request) { r.Header.Set("Amz-Sdk-Request", "attempt=1;  max=3") }},
		{name: "accepted four minutes late", how: func(s *signing) { s.at = s.at.Add(-4 * time.Minute) }},
		{name: "no signature", after: func(r *http.Request) { r.Header.Del("Authorization") }, code: missing, form: true},
		{name: "another algorithm", after: replace("Authorization", "HMAC-SHA256", "ECDSA-P256-SHA256"), code: incomplete, form: true},
		{name: "no credential scope", after: replace("Authorization", "/aws4_request", ""), code: incomplete, form: true},
		{name: "no signed headers", after: replace("Authorization", "SignedHeaders", "Headers"), code: incomplete, form: true},
		{name: "parameter twice", after: replace("Authorization", "SignedHeaders=", "Signature=1, SignedHeaders="), code: incomplete, form: true},
		{name: "signed headers not sorted", after: replace("Authorization", "content-length;content-type", "content-type;content-length"), code: incomplete, form: true},
		{name: "wrong secret", holder: func(c *Credentials) { c.SecretAccessKey += "x" }, code: invalid, message: "does not match", form: true},
		{name: "unknown access key", holder: func(c *Credentials) { c.AccessKeyID = "ASIAUNKNOWN" }, code: unrecognized},
		{name: "session token left out", holder: func(c *Credentials) { c.SessionToken = "" }, code: unrecognized, form: true},
		{name: "wrong region", how: func(s *signing) { s.region = "eu-west-1" }, code: invalid, message: "valid region", form: true},
		{name: "wrong service", how: func(s *signing) { s.service = "sts" }, code: invalid, message: "correct service: 'ecr'", form: true},
		{name: "six minutes late", how: func(s *signing) { s.at = s.at.Add(-6 * time.Minute) }, code: invalid, message: "Signature expired"},
		{name: "six minutes early", how: func(s *signing) { s.at = s.at.Add(6 * time.Minute) }, code: invalid, message: "not yet current"},
		{name: "date changed", after: func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().UTC().Add(time.Second*7).Format(signatureTime))
		}, code: invalid, message: "does not match", form: true},
		{name: "no date", after: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, code: incomplete, form: true},
		{name: "host changed", after: func(r *http.Request) { r.Host = "api.ecr.us-east-1.amazonaws.com.evil.com" }, code: invalid, form: true},
		{name: "header added after signing", after: func(r *http.Request) { r.Header.Set("X-Amz-Security", "1") }, code: invalid, message: "'x-amz-security' must be a 'SignedHeader'", form: true},
		{name: "body other than the one signed", how: func(s *signing) { s.body = "{ }" }, code: invalid, message: "does not match", form: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newRig()
			request, credentials := ecrRequest(), g.node(t)
			how := signing{service: "ecr", region: "us-east-1", at: time.Now(), body: "{}"}
			if test.holder != nil {
				test.holder(&credentials)
			}
			if test.before != nil {
				test.before(request)
			}
			if test.how != nil {
				test.how(&how)
			}
			sign(t, request, credentials, how)
			if test.after != nil {
				test.after(request)
			}
			answer := serve(g.ecrHandler(t), request)
			var refused struct {
				Type    string `json:"__type"`
				Message string `json:"message"`
			}
			if err := json.Unmarshal(answer.Body.Bytes(), &refused); err != nil {
				t.Fatal(err)
			}
			status := http.StatusBadRequest
			if test.code == "" {
				status = http.StatusOK
			}
			if answer.Code != status || refused.Type != test.code || !strings.Contains(refused.Message, test.message) {
				t.Errorf("%d %+v, want %d %s … %s", answer.Code, refused, status, test.code, test.message)
			}
			if got := len(g.calls.Violations()) == 1; got != test.form {
				t.Errorf("violations: %v", g.calls.Violations())
			}
		})
	}
}

func TestTheClockOfTheFakeDecides(t *testing.T) {
	g := newRig()
	g.Configure(func(s *Settings) { s.Clock = -10 * time.Minute })
	request := ecrRequest()
	sign(t, request, g.node(t), signing{service: "ecr", region: "us-east-1", at: time.Now(), body: "{}"})
	answer := serve(g.ecrHandler(t), request)
	if !strings.Contains(answer.Body.String(), "not yet current") {
		t.Errorf("answer %d %s", answer.Code, answer.Body)
	}
	told, err := http.ParseTime(answer.Header().Get("Date"))
	if behind := time.Since(told); err != nil || behind < 9*time.Minute || behind > 11*time.Minute {
		t.Errorf("date %s, %v", told, err)
	}
}

func TestExpiredSessionsAreRefused(t *testing.T) {
	g := newRig()
	credentials, err := g.AddSession(nodeRole, "i-1", -time.Second)
	if err != nil {
		t.Fatal(err)
	}
	request := ecrRequest()
	sign(t, request, credentials, signing{service: "ecr", region: "us-east-1", at: time.Now(), body: "{}"})
	if answer := serve(g.ecrHandler(t), request); answer.Code != 400 || !strings.Contains(answer.Body.String(), "ExpiredTokenException") {
		t.Errorf("answer %d %s", answer.Code, answer.Body)
	}
}

func TestCredentialsAreUnknownInOtherPartitions(t *testing.T) {
	g := newRig()
	g.AddRole(Role{ARN: "arn:aws-cn:iam::123456789012:role/node", Allow: []Action{ECRToken}})
	credentials, err := g.AddSession("arn:aws-cn:iam::123456789012:role/node", "i-1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	request := ecrRequest()
	sign(t, request, credentials, signing{service: "ecr", region: "us-east-1", at: time.Now(), body: "{}"})
	if answer := serve(g.ecrHandler(t), request); !strings.Contains(answer.Body.String(), "UnrecognizedClientException") {
		t.Errorf("answer %d %s", answer.Code, answer.Body)
	}
}
