package clients_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// skopeo, podman and buildah read docker's credHelpers or a line of
// registries.conf. They pass over credsStore in silence, which is why nothing
// here tells people to set it.
func TestSkopeo(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed: make parts installs it")
	}
	n := newNode(t)
	registries := filepath.Join(n.home, "registries.conf")
	for _, test := range []struct {
		name, config, registries string
		private                  bool
	}{
		{"credHelpers", credHelpers(n.registry, n.open), "", true},
		{"registries.conf", `{}`, `credential-helpers = ["regcred"]`, true},
		{"credsStore", credsStore, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			n.configure(t, test.config)
			write(t, registries, 0o644, test.registries+"\n")
			for host, want := range map[string]bool{n.registry: test.private, n.open: true} {
				command := exec.CommandContext(t.Context(), skopeo, "--registries-conf", registries, "inspect", "--raw", "--tls-verify=false", "docker://"+host+"/team/app:v1")
				out, err := command.CombinedOutput()
				if (err == nil) != want {
					t.Errorf("%s: %v: %s", host, err, out)
				}
			}
		})
	}
	t.Run("a failure", func(t *testing.T) {
		n.configure(t, credHelpers(n.registry))
		n.failProvider(t)
		out, err := exec.CommandContext(t.Context(), skopeo, "inspect", "--raw", "--tls-verify=false", "docker://"+n.registry+"/team/app:v1").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "no identity attached") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// failProvider makes the provider one that fails.
func (n node) failProvider(t *testing.T) {
	t.Helper()
	write(t, filepath.Join(n.home, "bin", "provider"), 0o755, fmt.Sprintf("#!/bin/sh\necho 'provider: %s: no identity attached: attach one' >&2\nexit 1\n", n.registry))
}

func wantLine(t *testing.T, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "no identity attached: attach one") {
		t.Errorf("%v, want the provider's line", err)
	}
}
