package cloud

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"
)

// TestMain enters a namespace where it can. Where it cannot, the tests that
// need one skip and the others run. TestHelperPost stays in its parent's.
func TestMain(m *testing.M) {
	if os.Getenv("POST_TO") != "" {
		os.Exit(m.Run())
	}
	if err := Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if !errors.Is(err, ErrUnsupported) {
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// newCloud skips the test where there can be no cloud.
func newCloud(t *testing.T) *Cloud {
	t.Helper()
	cloud, err := New()
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	return cloud
}

// echo is a service whose one operation answers what it was sent.
func echo(calls *Calls, faults *Faults) *Service {
	return &Service{
		Name:      "echo",
		Calls:     calls,
		Faults:    faults,
		Operation: func(*Request) string { return "Echo" },
		Answer: func(x *Exchange, r *Request) error {
			if len(r.Body) == 0 {
				return Refusal{Status: http.StatusBadRequest, Code: "Silence", Message: "nothing to echo", Form: true}
			}
			x.Summarize("%d bytes", len(r.Body))
			_, err := x.Write(r.Body)
			return err
		},
		Refuse: func(refusal Refusal) (string, []byte) {
			return "text/plain", []byte(refusal.Code)
		},
	}
}

// within fails the test when a call took longer than it may.
func within(t *testing.T, limit time.Duration, call func()) {
	t.Helper()
	begin := time.Now()
	call()
	if took := time.Since(begin); took > limit {
		t.Errorf("took %s, want at most %s", took, limit)
	}
}
