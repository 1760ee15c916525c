package azure

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

func TestIMDSRefusesWhatIsNoProgramOnTheMachine(t *testing.T) {
	const target = "http://169.254.169.254" + machinePath + "?api-version=2018-02-01&" + acrResource
	for _, test := range []struct {
		name, method, target, body string
		headers                    []string
		status                     int
	}{
		{"a program on the machine", http.MethodGet, target, "", []string{"Metadata", "true"}, 200},
		{"no header", http.MethodGet, target, "", nil, 400},
		{"another spelling", http.MethodGet, target, "", []string{"Metadata", "True"}, 400},
		{"through a proxy", http.MethodGet, target, "", []string{"Metadata", "true", "X-Forwarded-For", "10.0.0.1"}, 400},
		{"POST", http.MethodPost, target, "", []string{"Metadata", "true"}, 405},
		{"with a body", http.MethodGet, target, "x", []string{"Metadata", "true"}, 400},
		{"with credentials", http.MethodGet, target, "", []string{"Metadata", "true", "Authorization", "Basic x"}, 400},
		{"another path", http.MethodGet, "http://169.254.169.254/metadata/identity/oauth2/tokens", "", []string{"Metadata", "true"}, 404},
		{"another version", http.MethodGet, "http://169.254.169.254" + machinePath + "?api-version=2019-08-01&" + acrResource, "", []string{"Metadata", "true"}, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig()
			answer := cloudtest.Send(g.IMDS(), test.method, test.target, test.body, test.headers...)
			g.wantRefusal(t, answer, test.status, "", test.status != 200)
		})
	}
}

func TestIMDSParameters(t *testing.T) {
	for _, test := range []struct {
		query, says string
		status      int
		form        bool
	}{
		{"", "resource", 400, true},
		{acrResource + "%2F.default", "is none", 400, true},
		{acrResource + "%2F", "AADSTS500011", 400, false},
		{acrResource + "&" + acrResource, "2 times", 400, true},
		{acrResource + "&client_id=", "client_id is empty", 400, true},
		{acrResource + "&client_id=a&object_id=b", "an identity each", 400, true},
		{acrResource + "&mi_res_id=a", "unknown parameter mi_res_id", 400, true},
		{acrResource + "&scope=a", "unknown parameter scope", 400, true},
		{acrResource + "&client_id=" + appID, "Identity not found", 400, false},
	} {
		t.Run(test.query, func(t *testing.T) {
			g := newRig()
			answer := g.imds(test.query)
			g.wantRefusal(t, answer, test.status, test.says, test.form)
			if fields := cloudtest.Object(t, answer); fields["error"] == "" || fields["error_description"] == "" {
				t.Errorf("fields %v", fields)
			}
		})
	}
}

func TestWhichIdentityIMDSAnswers(t *testing.T) {
	for _, test := range []struct {
		name, selector string
		machine        InstanceSettings
		want           string // client id, or what a refusal says
	}{
		{"system's among others", "", InstanceSettings{System: &system, User: []ManagedIdentity{pull, other}}, system.ClientID},
		{"the only one", "", InstanceSettings{User: []ManagedIdentity{pull}}, pull.ClientID},
		{"one of several, unnamed", "", InstanceSettings{User: []ManagedIdentity{pull, other}}, "Multiple user assigned identities exist"},
		{"none", "", InstanceSettings{}, "Identity not found"},
		{"by client id", "&client_id=" + pull.ClientID, InstanceSettings{System: &system, User: []ManagedIdentity{pull, other}}, pull.ClientID},
		{"by object id", "&object_id=" + other.ObjectID, InstanceSettings{System: &system, User: []ManagedIdentity{pull, other}}, other.ClientID},
		{"by resource id", "&msi_res_id=" + url.QueryEscape(pull.ResourceID), InstanceSettings{User: []ManagedIdentity{pull, other}}, pull.ClientID},
		{"one that is another machine's", "&client_id=" + pull.ClientID, InstanceSettings{System: &system, User: []ManagedIdentity{other}}, "Identity not found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig()
			g.Configure(func(s *Settings) { s.IMDS.InstanceSettings = test.machine })
			answer := g.imds(acrResource + test.selector)
			g.wantNoViolation(t)
			if strings.Contains(test.want, " ") {
				g.wantRefusal(t, answer, 400, test.want, false)
				return
			}
			known, ok := g.Token(text(t, answer, "access_token"))
			if !ok || known.Principal != (Principal{HomeTenant, test.want}) || known.Audience != ACRAudience || known.Service != "imds" {
				t.Errorf("known %+v, %t", known, ok)
			}
		})
	}
}

func TestNumbersAreStringsUnlessTheyAreSaidToBeNone(t *testing.T) {
	g := newRig()
	fields := cloudtest.Object(t, g.imds(acrResource))
	for _, name := range []string{"expires_in", "expires_on", "not_before"} {
		if number, err := strconv.Atoi(fields[name].(string)); err != nil || number <= 0 {
			t.Errorf("%s is %v", name, fields[name])
		}
	}
	if fields["resource"] != ACRAudience || fields["token_type"] != "Bearer" || fields["refresh_token"] != "" {
		t.Errorf("fields %v", fields)
	}
	g.Configure(func(s *Settings) { s.IMDS.Numbers = true })
	if _, ok := cloudtest.Object(t, g.imds(acrResource))["expires_on"].(float64); !ok {
		t.Error("expires_on is no number")
	}
}

func TestATokenIsRepeatedWithLessLifeUntilShortlyBeforeItsEnd(t *testing.T) {
	g := newRig()
	first := text(t, g.imds(acrResource), "access_token")
	for _, step := range []struct {
		ahead time.Duration
		same  bool
	}{{0, true}, {23 * time.Hour, true}, {23*time.Hour + 54*time.Minute, true}, {23*time.Hour + 56*time.Minute, false}} {
		g.Configure(func(s *Settings) { s.Clock = step.ahead })
		if same := text(t, g.imds(acrResource), "access_token") == first; same != step.same {
			t.Errorf("after %s the first token is repeated: %t", step.ahead, same)
		}
	}
	if another := text(t, g.imds(acrResource+"&client_id="+pull.ClientID), "access_token"); another == first {
		t.Error("two identities have one token")
	}
	if issued := g.Issued("imds"); issued != 3 {
		t.Errorf("%d tokens were issued, want 3", issued)
	}
}

func TestIMDSAnswersFiveAtOnce(t *testing.T) {
	g := newRig()
	handler := g.IMDS()
	g.faults.Always("imds", "", cloud.Slow{Delay: time.Second})
	statuses := make([]int, 6)
	var asking sync.WaitGroup
	for i := range statuses {
		asking.Go(func() {
			answer := cloudtest.Send(handler, http.MethodGet, "http://169.254.169.254"+machinePath+"?api-version=2018-02-01&"+acrResource, "", "Metadata", "true")
			statuses[i] = answer.Code
		})
	}
	asking.Wait()
	throttled := 0
	for _, status := range statuses {
		if status == http.StatusTooManyRequests {
			throttled++
		}
	}
	if throttled == 0 {
		t.Errorf("statuses %v, want one of them 429", statuses)
	}
}

func TestShapesOfTokens(t *testing.T) {
	for shape, want := range map[fake.TokenShape]func(map[string]any) bool{
		fake.NoFields:   func(fields map[string]any) bool { return len(fields) <= 1 },
		fake.EmptyToken: func(fields map[string]any) bool { return fields["access_token"] == "" },
		fake.NoExpiry: func(fields map[string]any) bool {
			return fields["expires_on"] == nil && fields["expires_in"] == nil && fields["access_token"] != ""
		},
		fake.ExpiresNow: func(fields map[string]any) bool { return fields["expires_in"] == "0" },
		fake.ExpiredLong: func(fields map[string]any) bool {
			seconds, _ := strconv.ParseInt(fields["expires_on"].(string), 10, 64)
			return time.Until(time.Unix(seconds, 0)) < -50*time.Minute
		},
	} {
		g := newRig()
		g.Configure(func(s *Settings) { s.IMDS.Token.Shape = shape })
		if fields := cloudtest.Object(t, g.imds(acrResource)); !want(fields) {
			t.Errorf("shape %d is %v", shape, fields)
		}
	}
}
