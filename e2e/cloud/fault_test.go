package cloud

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ask posts to a service, with some patience, and returns what came of it.
func ask(t *testing.T, url string, patience time.Duration) (status int, body []byte, header http.Header, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, body, answer.Header, err
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name   string
		fault  Fault
		status int
		err    error
		check  func(body []byte, header http.Header) bool
	}{
		{name: "refusal", fault: Refusal{Status: 429, Code: "Throttled", RetryAfter: 1500 * time.Millisecond}, status: 429,
			check: func(body []byte, header http.Header) bool {
				return string(body) == "Throttled" && header.Get("Retry-After") == "2"
			}},
		{name: "redirect", fault: Redirect{To: "http://127.0.0.1:1/"}, err: syscall.ECONNREFUSED},
		{name: "slow", fault: Slow{50 * time.Millisecond}, status: 200,
			check: func(body []byte, _ http.Header) bool { return string(body) == "hello" }},
		{name: "hang", fault: Hang{}, err: context.DeadlineExceeded},
		{name: "stall", fault: Stall{}, status: 200, err: context.DeadlineExceeded,
			check: func(body []byte, _ http.Header) bool { return string(body) == `{"` }},
		{name: "reset", fault: Reset{}, err: syscall.ECONNRESET},
		{name: "empty", fault: Empty, status: 200,
			check: func(body []byte, _ http.Header) bool { return len(body) == 0 }},
		{name: "not JSON", fault: NotJSON, status: 200,
			check: func(body []byte, _ http.Header) bool { return bytes.HasPrefix(body, []byte("<html>")) }},
		{name: "truncated", fault: Truncated, status: 200, err: io.ErrUnexpectedEOF},
		{name: "oversized", fault: Oversized, status: 200,
			check: func(body []byte, _ http.Header) bool { return len(body) > 4<<20 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var calls Calls
			var faults Faults
			server := httptest.NewServer(echo(&calls, &faults))
			defer server.Close()
			faults.First(1, "echo", "Echo", test.fault)

			patience := 20 * time.Second
			if test.fault == (Hang{}) || test.fault == (Stall{}) {
				patience = 300 * time.Millisecond
			}
			status, body, header, err := ask(t, server.URL, patience)
			if !errors.Is(err, test.err) || status != test.status {
				t.Errorf("status %d, error %v; want %d, %v", status, err, test.status, test.err)
			}
			if test.check != nil && !test.check(body, header) {
				t.Errorf("body %.80q, header %v", body, header)
			}
			if calls.Count("echo", "Echo") != 1 {
				t.Errorf("journal:\n%s", calls.String())
			}

			if status, body, _, err := ask(t, server.URL, 20*time.Second); status != 200 || string(body) != "hello" || err != nil {
				t.Errorf("the call after the fault: %d %q %v", status, body, err)
			}
		})
	}
}

func TestFaultsFollowOneAnother(t *testing.T) {
	var faults Faults
	faults.First(1, "echo", "", Slow{time.Second})
	faults.First(2, "echo", "Echo", Hang{})
	faults.First(1, "other", "", Reset{})
	faults.Always("echo", "Echo", Empty)
	want := [][]Fault{{Slow{time.Second}, Hang{}}, {Hang{}}, {Empty}, {Empty}}
	for i, faultsOfCall := range want {
		got := faults.strike("echo", "Echo")
		if len(got) != len(faultsOfCall) || got[len(got)-1] != faultsOfCall[len(got)-1] {
			t.Errorf("call %d: %v, want %v", i+1, got, faultsOfCall)
		}
	}
	faults.Clear()
	if got := faults.strike("echo", "Echo"); got != nil {
		t.Errorf("after Clear: %v", got)
	}
}

func TestARefusalOfFormIsAViolation(t *testing.T) {
	var calls Calls
	server := echo(&calls, &Faults{})
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "https://echo.example/", nil))
	violations := calls.Violations()
	if answer.Code != 400 || len(violations) != 1 || violations[0].Host != "echo.example" {
		t.Errorf("status %d, violations %v", answer.Code, violations)
	}
	if !strings.Contains(calls.String(), "violation: echo at echo.example: 400 Silence: nothing to echo") {
		t.Errorf("journal:\n%s", calls.String())
	}
	calls.Reset()
	if len(calls.All()) != 0 || len(calls.Violations()) != 0 {
		t.Errorf("journal after Reset:\n%s", calls.String())
	}
}

func TestACallIsInTheJournalBeforeItIsAnswered(t *testing.T) {
	var calls Calls
	var faults Faults
	faults.Always("echo", "", Hang{})
	server := httptest.NewServer(echo(&calls, &faults))
	defer server.Close()
	if _, _, _, err := ask(t, server.URL, 300*time.Millisecond); err == nil {
		t.Fatal("a hanging call was answered")
	}
	if all := calls.All(); len(all) != 1 || all[0].Status != 0 {
		t.Errorf("journal: %+v", all)
	}
}
