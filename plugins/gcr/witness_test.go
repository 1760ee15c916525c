package gcr

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answers is a transport that gives one answer after the other.
type answers []func() (*http.Response, error)

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	next := (*a)[0]
	*a = (*a)[1:]
	return next()
}

func say(status int, kind, body string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{
			"Content-Type": {kind}, "Retry-After": {"7"}, "Date": {"Mon, 23 Nov 2026 08:00:00 GMT"},
		}}, nil
	}
}

// brokenBody ends in its middle.
type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (brokenBody) Close() error             { return nil }

func breakOff() (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: brokenBody{}}, nil
}

func TestWhatAnAnswerSays(t *testing.T) {
	date := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		answer func() (*http.Response, error)
		want   exchange
	}{
		"a success":       {say(200, "application/json", `{"access_token":"ya29"}`), exchange{status: 200}},
		"as OAuth":        {say(400, "application/json", `{"error":"invalid_target","error_description":"no pool"}`), exchange{status: 400, code: "invalid_target", text: "no pool"}},
		"as an API":       {say(403, "application/json; charset=UTF-8", `{"error":{"code":403,"message":"denied","status":"PERMISSION_DENIED"}}`), exchange{status: 403, code: "PERMISSION_DENIED", text: "denied"}},
		"as a page":       {say(404, "text/html", `<html>not here</html>`), exchange{status: 404}},
		"as a line":       {say(403, "text/plain", "not for you\n"), exchange{status: 403, text: "not for you"}},
		"as something":    {say(500, "application/json", `{"access_token":"ya29"}`), exchange{status: 500}},
		"a redirection":   {say(302, "text/plain", ""), exchange{status: 302}},
		"a long line":     {say(403, "text/plain", strings.Repeat("x", 500)), exchange{status: 403, text: strings.Repeat("x", 200)}},
		"an answer at al": {func() (*http.Response, error) { return nil, io.EOF }, exchange{err: io.EOF}},
	} {
		t.Run(name, func(t *testing.T) {
			client, witness := observe(t.Context(), &answers{tc.answer})
			response, err := client.Get("https://sts.googleapis.com/v1/token")
			tc.want.host = "sts.googleapis.com"
			if tc.want.err == nil {
				tc.want.retryAfter, tc.want.date = 7*time.Second, date
			}
			if got := witness.seen(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if (err == nil) != (tc.want.status == 200) {
				t.Errorf("got %v, %v", response, err)
			}
			// Nothing by which a library would repeat it.
			var temporary interface{ Temporary() bool }
			if err != nil && (errors.As(err, &temporary) && temporary.Temporary() || errors.Is(err, io.EOF)) {
				t.Errorf("%v looks as if it would pass", err)
			}
		})
	}
}

func TestAnAnswerThatBreaksOffIsAskedForOnceMore(t *testing.T) {
	client, _ := observe(t.Context(), &answers{breakOff, say(200, "", "whole")})
	response, err := client.Get("http://169.254.169.254/")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "whole" {
		t.Errorf("got %q, %v", body, err)
	}
	client, witness := observe(t.Context(), &answers{breakOff, breakOff})
	if _, err := client.Get("http://169.254.169.254/"); err == nil || !errors.Is(witness.seen().err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, %+v", err, witness.seen())
	}
}
