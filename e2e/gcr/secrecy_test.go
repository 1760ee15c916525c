package gcr_test

import (
	"path/filepath"
	"strings"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// A program that prints a token in the wrong form has still printed a token.
// Google's library repeats in its error whatever it cannot read.
func TestAProgramsOutputStaysOutOfSight(t *testing.T) {
	t.Parallel()
	n := bootOutside(t)
	const secret = "opaque-subject-token"
	log := filepath.Join(t.TempDir(), "log")
	path := cloudtest.File(t, n.externalAccount(map[string]any{"credential_source": map[string]any{
		"executable": map[string]any{"command": "/bin/cat " + cloudtest.File(t, secret), "timeout_millis": 5000},
	}}))
	q := question{
		Image: registry + "/p/r/app",
		Args:  []string{"--log-level=debug", "--log-file", log},
		Env:   []string{"GOOGLE_APPLICATION_CREDENTIALS=" + path, "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1"},
	}
	first, second := n.ask(q), n.ask(q)
	for _, a := range []answer{first, second} {
		if a.Exit != 1 {
			t.Errorf("exit code %d, want 1", a.Exit)
		}
	}
	for where, content := range cloudtest.Written(t, n.Cloud, log, first.Answer, second.Answer) {
		if strings.Contains(content, secret) {
			t.Errorf("the token is in %s", where)
		}
	}
	n.WantCalls()
}
