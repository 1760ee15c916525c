//go:build linux

package dockerconfig_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

// machine has no cloud at all, only files.
type machine struct {
	cloudtest.Runner
	dir string // for what a test writes
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	t.Parallel()
	return &machine{cloudtest.Runner{T: t, Cloud: cloudtest.Apart(t), Plugin: plugin}, t.TempDir()}
}

// write writes a file below the test's directory and returns its path.
func (m *machine) write(name, text string) string {
	m.T.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.T.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.T.Fatal(err)
	}
	return path
}

// helper installs a credential helper that is a shell script, and finds the
// server that it is asked about in $server.
func (m *machine) helper(name, script string) {
	m.T.Helper()
	cloudtest.Program(m.T, filepath.Join(m.dir, "helpers/docker-credential-"+name), []byte("#!/bin/sh\nserver=$(cat)\n"+script+"\n"))
}

// ask is the machine's own question for an image, of a plugin that reads the
// file alone.
func (m *machine) ask(file, image string, args ...string) cloudtest.Answer {
	m.T.Helper()
	args = append([]string{"--default-files=false", "--file=" + file, "--helper-path=" + filepath.Join(m.dir, "helpers") + ":/usr/bin:/bin"}, args...)
	return m.Ask(fake.Question{Image: image, Args: args})
}

// want fails the test unless the answer is a login for the image's host.
func (m *machine) want(a cloudtest.Answer, image, login string) {
	m.T.Helper()
	host, _, _ := strings.Cut(image, "/")
	username, password, _ := strings.Cut(login, ":")
	if got, keep := a.WantLogin(host, username); got != password || keep != 0 {
		m.T.Errorf("%s: password %q, kept for %s; want %q and no longer than now", image, got, keep, password)
	}
}

// auth is an entry with a login.
func auth(login string) string {
	return fmt.Sprintf(`{"auth": %q}`, base64.StdEncoding.EncodeToString([]byte(login)))
}

// with is a configuration of logins, in turns a key and a login.
func with(keysAndLogins ...string) string {
	var entries []string
	for i := 0; i < len(keysAndLogins); i += 2 {
		entries = append(entries, fmt.Sprintf("%q: %s", keysAndLogins[i], auth(keysAndLogins[i+1])))
	}
	return `{"auths": {` + strings.Join(entries, ", ") + `}}`
}

const (
	host  = "reg.example.com"
	image = host + "/team/app"
)
