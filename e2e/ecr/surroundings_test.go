package ecr_test

import (
	"bytes"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// The kubelet may be started by hand, or by something that closes what it does
// not need.
func TestTheSurroundingsOfARunDoNotMatter(t *testing.T) {
	for _, test := range []struct {
		name, script string
		env          []string
	}{
		{"nothing but the request", `exec "$@"`, nil},
		{"no stderr", `exec "$@" 2>&-`, nil},
		{"home and temporary folder that do not exist", `exec "$@"`, []string{"HOME=/nonexistent", "TMPDIR=/nonexistent", "XDG_RUNTIME_DIR=/nonexistent"}},
		{"home that is no folder", `exec "$@"`, []string{"HOME=/dev/null"}},
		{"umask that lets everybody read", `umask 0; exec "$@"`, nil},
		{"umask that lets nobody read", `umask 0777; exec "$@"`, nil},
		{"working folder that is gone", `d=$(mktemp -d) && cd "$d" && rmdir "$d" && exec "$@"`, nil},
		{"few open files", `ulimit -n 16; exec "$@"`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			q := question{Image: registry + "/app", Env: test.env}
			command := cloudtest.Question(q).Command(t.Context(), "sh", "-c", test.script, "sh", plugin)
			command.Stdin = bytes.NewReader(cloudtest.Question(q).Request(t))
			n.start(command).answer().wantCredential(registry, nodeRole)
			n.ask(q).wantCredential(registry, nodeRole)
			n.wantCalls(askIMDS, askECR(ecrAPI))
		})
	}
}
