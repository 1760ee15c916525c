package main

import (
	"strings"
	"testing"

	"regcred/cmd/regcred/internal/install"
	"regcred/cmd/regcred/internal/term"
)

// A platform's configuration may be still to come, and then has no hash.
func TestStatusWithoutAConfigurationYet(t *testing.T) {
	a := testApp()
	var out strings.Builder
	a.out = term.New(&out, a.getenv)
	a.printStatus(&install.Status{Installed: true, Config: "/etc/c.json"})
	if !strings.Contains(out.String(), "/etc/c.json\n") {
		t.Errorf("got %q", out.String())
	}
}
