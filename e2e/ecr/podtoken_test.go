package ecr_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"regcred/e2e/cloud"
)

// A pod's token is for STS alone.
func TestAPodsTokenIsWrittenNowhere(t *testing.T) {
	for name, fault := range map[string]cloud.Fault{
		"answered": nil,
		"denied":   cloud.Refusal{Status: 403, Code: "AccessDenied", Message: "Not authorized"},
		"broken":   cloud.NotJSON,
	} {
		t.Run(name, func(t *testing.T) {
			n := bootNode(t)
			n.addRole(shopRole, shop)
			if fault != nil {
				n.cloud.Faults.Always("sts", "", fault)
			}
			p := n.pod(shop)
			log := filepath.Join(t.TempDir(), "log")
			q := p.question(registry+"/app", "--log-level=debug", "--log-file", log).as(shopRole)
			answers := []answer{n.ask(q), n.ask(q)}

			written := map[string]string{"the log": read(t, log)}
			for i, a := range answers {
				written[fmt.Sprintf("stderr of run %d", i+1)] = a.Stderr
				written[fmt.Sprintf("stdout of run %d", i+1)] = a.Stdout
			}
			for path, content := range files(t, "/run") {
				written[path] = content
			}
			if len(written) < 7 {
				t.Errorf("only %d things were written: nothing is in the cache", len(written))
			}
			signature := p.token[strings.LastIndex(p.token, ".")+1:]
			for where, content := range written {
				if strings.Contains(content, p.token) || strings.Contains(content, signature) {
					t.Errorf("the token is in %s", where)
				}
			}
		})
	}
}
