package fake

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
)

type settings struct{ Clock time.Duration }

func TestAFrontJournalsAndTellsTheFakesTime(t *testing.T) {
	calls, faults := &cloud.Calls{}, &cloud.Faults{}
	core := NewCore(calls, faults, func(s settings) time.Duration { return s.Clock })
	core.Configure(func(s *settings) { s.Clock = 2 * time.Hour })
	handler := Identified("X-Id", core.Front(&cloud.Service{
		Name:      "service",
		Operation: func(*cloud.Request) string { return "Get" },
		Answer:    func(x *cloud.Exchange, _ *cloud.Request) error { return AnswerJSON(x, map[string]int{"n": 1}) },
		Refuse:    WordOAuth,
	}))
	ask := func() *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "https://service.example/", nil))
		return answer
	}
	faults.First(1, "service", "Get", Refuse(http.StatusForbidden, "denied", "no %s", "way"))
	refused, answered := ask(), ask()
	if refused.Code != 403 || refused.Body.String() != `{"error":"denied","error_description":"no way"}` {
		t.Errorf("refused %d %s", refused.Code, refused.Body)
	}
	if answered.Code != 200 || answered.Body.String() != "{\"n\":1}\n" {
		t.Errorf("answered %d %s", answered.Code, answered.Body)
	}
	if refused.Header().Get("X-Id") == answered.Header().Get("X-Id") {
		t.Error("two answers have one identifier, or none")
	}
	for _, answer := range []*httptest.ResponseRecorder{refused, answered} {
		date, err := http.ParseTime(answer.Header().Get("Date"))
		if ahead := time.Until(date); err != nil || ahead < 119*time.Minute || ahead > 2*time.Hour {
			t.Errorf("the date is %s ahead, %v", ahead, err)
		}
	}
	if calls.Count("service", "Get") != 2 || len(calls.Violations()) != 0 {
		t.Errorf("journal\n%s", calls)
	}
}

func TestALedgerKnowsWhatItIssued(t *testing.T) {
	var ledger Ledger[string]
	ledger.Add("first", "shop")
	ledger.Add("second", "shop")
	ledger.Add("third", "jobs")
	if whose, ok := ledger.Find("first"); whose != "shop" || !ok {
		t.Errorf("first is %s's, %t", whose, ok)
	}
	if _, ok := ledger.Find("made up"); ok {
		t.Error("a made-up secret is known")
	}
	if count := ledger.Count(func(whose string) bool { return whose == "shop" }); count != 2 {
		t.Errorf("%d secrets of shop, want 2", count)
	}
	if all := ledger.Secrets(); !slices.Equal(all, []string{"first", "second", "third"}) {
		t.Errorf("secrets %v", all)
	}
	if _, ok := ledger.Take("first"); !ok {
		t.Error("first was not there to be taken")
	}
	if _, ok := ledger.Take("first"); ok {
		t.Error("first was taken twice")
	}
}

func TestARepeaterIssuesAgainWhenTheTimeHasCome(t *testing.T) {
	var repeater Repeater[string, int]
	now, issued := time.Now(), 0
	get := func(key string, at time.Time) int {
		return repeater.Get(key, at, func() (int, time.Time) { issued++; return issued, at.Add(time.Minute) })
	}
	for _, step := range []struct {
		key   string
		after time.Duration
		want  int
	}{{"a", 0, 1}, {"a", 59 * time.Second, 1}, {"b", 59 * time.Second, 2}, {"a", time.Minute, 3}, {"b", time.Minute, 2}} {
		if got := get(step.key, now.Add(step.after)); got != step.want {
			t.Errorf("%s after %s is number %d, want %d", step.key, step.after, got, step.want)
		}
	}
}

func TestTheShapesOfATokensAnswer(t *testing.T) {
	now := time.Now()
	for shape, want := range map[TokenShape][]string{
		Ordinary: {"access_token", "expires_in", "token_type"}, NoFields: nil, NoExpiry: {"access_token", "token_type"},
		EmptyToken: {"access_token", "expires_in", "token_type"}, ExpiresNow: {"access_token", "expires_in", "token_type"},
	} {
		life := TokenSettings{Shape: shape}.LifeOr(time.Hour)
		answer := Grant{Token: "secret", Expires: now.Add(life), Shape: shape}.OAuth(now)
		var names []string
		for name := range answer {
			names = append(names, name)
		}
		if slices.Sort(names); !slices.Equal(names, want) {
			t.Errorf("shape %d has fields %v, want %v", shape, names, want)
		}
		if token := answer["access_token"]; (shape == EmptyToken) != (token == "") {
			t.Errorf("shape %d has token %v", shape, token)
		}
		if left := answer["expires_in"]; left != nil && (shape == ExpiresNow) != (left == 0) {
			t.Errorf("shape %d has %v seconds left", shape, left)
		}
	}
	if life := (TokenSettings{Life: time.Minute, Shape: ExpiredLong}).LifeOr(time.Hour); life != -time.Hour {
		t.Errorf("an expired token lives for %s", life)
	}
	if life := (TokenSettings{Life: time.Minute}).LifeOr(time.Hour); life != time.Minute {
		t.Errorf("a token of a minute lives for %s", life)
	}
}

func TestAFormHasKnownFieldsOnceEach(t *testing.T) {
	for _, test := range []struct {
		kind, body string
		refused    string
	}{
		{FormKind, "a=1&b=2", ""},
		{FormKind + "; charset=UTF-8", "a=1", ""},
		{"text/plain", "a=1", "content type"},
		{"", "a=1", "content type"},
		{FormKind, "a=1&a=2", "2 times"},
		{FormKind, "c=1", `unknown field "c"`},
		{FormKind, "a=%zz", "invalid URL escape"},
	} {
		request := httptest.NewRequest(http.MethodPost, "/", nil)
		request.Header.Set("Content-Type", test.kind)
		fields, err := Form(&cloud.Request{Request: request, Body: []byte(test.body)}, "a", "b")
		switch {
		case test.refused == "" && (err != nil || fields["a"] != "1"):
			t.Errorf("%s %s: %v, %v", test.kind, test.body, fields, err)
		case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
			t.Errorf("%s %s: %v, want %q", test.kind, test.body, err, test.refused)
		}
	}
}

func TestARefusalForItsFormIsMarked(t *testing.T) {
	if Refuse(400, "code", "x").Form || !RefuseForm(400, "code", "x").Form {
		t.Error("forms are not told apart")
	}
	var refusal cloud.Refusal
	if err := error(RefuseForm(404, "gone", "no %d", 1)); !errors.As(err, &refusal) || refusal.Error() != "404 gone: no 1" {
		t.Errorf("refusal %v", refusal)
	}
}
