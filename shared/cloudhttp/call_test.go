package cloudhttp

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"regcred/shared/credential"
)

func TestCall(t *testing.T) {
	var got *http.Request
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"value":7}`)
	}))
	t.Cleanup(s.Close)
	for name, tc := range map[string]struct {
		call                      Call
		method, contentType, body string
	}{
		"something is got":      {Call{}, "GET", "", ""},
		"a form is posted":      {Call{Form: url.Values{"a": {"b c"}}}, "POST", "application/x-www-form-urlencoded", "a=b+c"},
		"a body is posted":      {Call{Body: []byte("{}"), ContentType: "application/json"}, "POST", "application/json", "{}"},
		"or put":                {Call{Body: []byte("{}"), Method: http.MethodPut}, "PUT", "", "{}"},
		"with headers":          {Call{Header: http.Header{"Metadata": {"true"}}}, "GET", "", ""},
		"with a bearer's token": {Call{Bearer: credential.NewSecret("token-7")}, "GET", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tc.call.URL, tc.call.Stage = s.URL, "token"
			reply := tc.call.Do(t.Context(), apiClient())
			var answer struct{ Value int }
			if err := reply.Decode(&answer); err == nil && answer.Value != 0 {
				t.Error("names of fields are matched in any case")
			}
			if !reply.OK() || reply.Stage != "token" || reply.Host != strings.TrimPrefix(s.URL, "http://") || time.Since(reply.Received) > time.Minute {
				t.Errorf("got %+v", reply)
			}
			if got.Method != tc.method || got.Header.Get("Content-Type") != tc.contentType || string(body) != tc.body || got.UserAgent() != "regcred" {
				t.Errorf("the server got %s %v %q", got.Method, got.Header, body)
			}
			if want := tc.call.Header.Get("Metadata"); got.Header.Get("Metadata") != want {
				t.Errorf("the header is %q, want %q", got.Header.Get("Metadata"), want)
			}
			if !tc.call.Bearer.Empty() && got.Header.Get("Authorization") != "Bearer token-7" {
				t.Errorf("authorization %q", got.Header.Get("Authorization"))
			}
		})
	}
}

func TestAnAddressThatIsNoneIsNotRepeated(t *testing.T) {
	reply := Call{Stage: "token", URL: "http://host/%zzsecret"}.Do(t.Context(), apiClient())
	if reply.Err == nil || reply.OK() || strings.Contains(reply.Err.Error(), "secret") {
		t.Errorf("got %v", reply.Err)
	}
}

func TestOwnTime(t *testing.T) {
	own := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for server, want := range map[time.Duration]time.Duration{
		0: time.Hour, 59 * time.Second: time.Hour, -time.Minute: time.Hour,
		10 * time.Minute: 50 * time.Minute, -10 * time.Minute: 70 * time.Minute,
	} {
		reply := Reply{Header: http.Header{"Date": {own.Add(server).Format(http.TimeFormat)}}, Received: own}
		if got := reply.OwnTime(own.Add(time.Hour)); !got.Equal(own.Add(want)) {
			t.Errorf("a server %s ahead: %s", server, got)
		}
	}
	if got := (Reply{Received: own}).OwnTime(own.Add(time.Hour)); !got.Equal(own.Add(time.Hour)) {
		t.Errorf("a server without a clock: %s", got)
	}
}

func TestOAuthTokenExpires(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		`{"expires_in":3600}`:                              time.Hour,
		`{"expires_in":"3600"}`:                            time.Hour,
		`{"expires_in":3600.9}`:                            time.Hour,
		`{"expires_on":"1795421400"}`:                      10 * time.Minute, // 08:10
		`{"expires_in":"86400","expires_on":"1795421400"}`: 10 * time.Minute,
		`{}`:                    -1,
		`{"expires_in":"soon"}`: -1,
		`{"expires_in":-5}`:     -1,
		`{"expires_in":null}`:   -1,
		`{"expires_in":[1]}`:    -1,
		`{"expires_in":1e300}`:  mostSeconds.Duration(),
	} {
		var token OAuthToken
		if err := json.Unmarshal([]byte(text), &token); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := token.Expires(Reply{Received: now})
		if want < 0 && !got.IsZero() || want >= 0 && !got.Equal(now.Add(want)) {
			t.Errorf("%s: expires at %s", text, got)
		}
	}
}

func TestOAuthError(t *testing.T) {
	for body, want := range map[string]Said{
		`{"error":"invalid_grant","error_description":"The token is old"}`: {Code: "invalid_grant", Text: "The token is old"},
		`{"error":"invalid_grant"}`:                                        {Code: "invalid_grant"},
		`{"error":{"code":403}}`:                                           {},
		`{}`:                                                               {},
		`<html>`:                                                           {},
	} {
		got, ok := Reply{Body: []byte(body)}.OAuthError()
		if got != want || ok != (want.Code != "") {
			t.Errorf("%s: got %+v, %t", body, got, ok)
		}
	}
}

func TestPlainText(t *testing.T) {
	for contentType, want := range map[string]string{"text/plain; charset=utf-8": "no role", "text/html": "", "": ""} {
		reply := Reply{Header: http.Header{"Content-Type": {contentType}}, Body: []byte(" no role\n")}
		if got := reply.PlainText().Text; got != want {
			t.Errorf("%s: got %q", contentType, got)
		}
	}
}

func TestRecorder(t *testing.T) {
	s, _ := server(t, nil, 403)
	keep := &Recorder{Next: apiClient().Transport}
	response, err := keep.Client().Get(s.URL)
	if err != nil || response.StatusCode != http.StatusForbidden || keep.Last().Status != http.StatusForbidden {
		t.Errorf("got %v, %v; recorded %+v", response, err, keep.Last())
	}
	only := &Recorder{Next: apiClient().Transport, OnlySuccess: true}
	if _, err := only.Client().Get(s.URL); !errors.Is(err, errNoSuccess) || only.Last().Status != http.StatusForbidden {
		t.Errorf("got %v; recorded %+v", err, only.Last())
	}
}
