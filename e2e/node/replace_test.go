package node_test

import (
	"fmt"
	"os"
	"path/filepath"

	"regcred/e2e/cloud/cloudtest"
)

// The next pull is the new file's, without a restart. The new one here leaves
// a trace before it becomes the plugin.
func pluginIsReplaced(n *node) {
	first := n.pod("before", n.newImage())
	n.run(first)
	n.wantRunning(first)

	trace := filepath.Join(n.place.Dir, "replaced")
	program := filepath.Join(n.t.TempDir(), n.Plugin)
	script := fmt.Sprintf("#!/bin/sh\n: > %s\nexec %s \"$@\"\n", trace, cloudtest.Binary(n.Plugin))
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		n.t.Fatal(err)
	}
	n.install(program)
	n.t.Cleanup(func() { n.install(cloudtest.Binary(n.Plugin)) })
	second := n.pod("after", n.newImage())
	n.run(second)
	n.wantRunning(second)
	if _, err := os.Stat(trace); err != nil {
		n.t.Errorf("the new plugin was not run: %v", err)
	}
}
