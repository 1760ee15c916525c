package plugintest

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"

	"regcred/shared/credential"
)

// longest is how many characters a failure's line has at most: the kubelet's log
// and events have others.
const longest = 600

// WantFailure fails the test unless an error is a failure of these parts: what
// its problem, its advice and its evidence have in them. Empty means that there
// is nothing. It returns the failure's line.
func WantFailure(t *testing.T, err error, permanent bool, problem, advice, evidence string) (text string) {
	t.Helper()
	failure, ok := errors.AsType[*credential.Failure](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	if failure.Permanent != permanent || failure.Err == nil {
		t.Errorf("permanent %t, caused by %v", failure.Permanent, failure.Err)
	}
	for _, part := range [][2]string{{failure.Problem, problem}, {failure.Advice, advice}, {failure.Evidence, evidence}} {
		if !strings.Contains(part[0], part[1]) || part[1] == "" && part[0] != "" {
			t.Errorf("got %q, want %q, in %v", part[0], part[1], err)
		}
	}
	text = failure.Error()
	if len(text) > longest {
		t.Errorf("%d characters: %s", len(text), text)
	}
	return text
}

// WantForm fails the test unless a form has these fields, once each.
func WantForm(t *testing.T, got url.Values, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if len(got[name]) != 1 || got.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("sent %q", got)
	}
}

// JWT is a JSON Web Token of claims.
func JWT(claims string) string {
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}
