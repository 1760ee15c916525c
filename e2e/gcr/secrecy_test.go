package gcr_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
)

// outcomes are what can become of a question.
func outcomes(service string) map[string]cloud.Fault {
	return map[string]cloud.Fault{
		service + " answered": nil,
		service + " refused":  cloud.Refusal{Status: 400, Code: "invalid_grant", Message: "no"},
		service + " broken":   cloud.NotJSON,
	}
}

// A pod's token is for STS alone.
func TestAPodsTokenIsWrittenNowhere(t *testing.T) {
	for name, fault := range outcomes("sts") {
		t.Run(name, func(t *testing.T) {
			n := bootNode(t)
			if fault != nil {
				n.cloud.Faults.Always("sts", "", fault)
			}
			p := n.pod(shop, wifAudience, time.Hour)
			log := filepath.Join(t.TempDir(), "log")
			q := p.question(registry+"/p/r/app", slices.Concat(wifArgs, []string{"--log-level=debug", "--log-file", log})...)
			signature := p.token[strings.LastIndex(p.token, ".")+1:]
			for where, content := range cloudtest.Written(t, log, n.ask(q).Answer, n.ask(q).Answer) {
				if strings.Contains(content, signature) {
					t.Errorf("the token is in %s", where)
				}
			}
		})
	}
}

// A key is neither an answer nor anybody's to read.
func TestAKeyIsWrittenNowhere(t *testing.T) {
	for name, fault := range outcomes("oauth2") {
		t.Run(name, func(t *testing.T) {
			n := bootOutside(t)
			if fault != nil {
				n.cloud.Faults.Always("oauth2", "", fault)
			}
			content := n.key(pullAccount)
			var key struct {
				PrivateKey string `json:"private_key"`
			}
			if err := json.Unmarshal([]byte(content), &key); err != nil {
				t.Fatal(err)
			}
			secret := strings.Split(key.PrivateKey, "\n")[5]
			log := filepath.Join(t.TempDir(), "log")
			q := question{Image: registry + "/p/r/app", Args: []string{"--credentials-file", cloudtest.File(t, content), "--log-level=debug", "--log-file", log}}
			for where, content := range cloudtest.Written(t, log, n.ask(q).Answer, n.ask(q).Answer) {
				if strings.Contains(content, secret) {
					t.Errorf("the key is in %s", where)
				}
			}
		})
	}
}

// A program that prints a token in the wrong form has still printed a token.
// Google's library repeats in its error whatever it cannot read.
func TestAProgramsOutputStaysOutOfSight(t *testing.T) {
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
	for where, content := range cloudtest.Written(t, log, first.Answer, second.Answer) {
		if strings.Contains(content, secret) {
			t.Errorf("the token is in %s", where)
		}
	}
	n.wantCalls()
}

// An access token is in the answer and in the cache, and nowhere else.
func TestAnAccessTokenIsNotInTheLog(t *testing.T) {
	n := bootNode(t)
	log := filepath.Join(t.TempDir(), "log")
	a := n.ask(question{Image: registry + "/p/r/app", Args: []string{"--v=9", "--log-level=debug", "--log-file", log}})
	response, _ := a.Response()
	content, err := os.ReadFile(log)
	if err != nil || len(content) == 0 {
		t.Fatalf("%d characters of log, %v", len(content), err)
	}
	for where, text := range map[string]string{"the log": string(content), "stderr": a.Stderr} {
		if strings.Contains(text, response.Auth[registry].Password) || strings.Contains(text, "ya29.") {
			t.Errorf("the token is in %s", where)
		}
	}
}
