package node_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/node/part"
)

// startKubelet starts the kubelet with a configuration of its credential
// providers. Its folder of plugins is its own: a case may replace what is in
// it.
func (n *node) startKubelet(providers string) {
	n.t.Helper()
	n.config = part.Kubelet{
		Providers: providers,
		Plugins:   filepath.Join(n.place.Dir, "plugins"),
		Cluster:   n.api != nil,
	}
	if err := os.MkdirAll(n.config.Plugins, 0o755); err != nil {
		n.t.Fatal(err)
	}
	n.install(cloudtest.Binary(n.vendor.plugin))
	n.runKubelet()
}

// restartKubelet starts the kubelet again, as it was.
func (n *node) restartKubelet() {
	n.t.Helper()
	n.stopKubelet()
	n.runKubelet()
}

// reconfigureKubelet restarts the kubelet with a change to its configuration
// of credential providers, until the test ends.
func (n *node) reconfigureKubelet(change func(sample string) string) {
	n.t.Helper()
	sample := n.config.Providers
	content, err := os.ReadFile(sample)
	if err != nil {
		n.t.Fatal(err)
	}
	changed := change(string(content))
	if changed == string(content) {
		n.t.Fatalf("%s was not changed", sample)
	}
	n.config.Providers = filepath.Join(n.place.Dir, "changed.yaml")
	if err := os.WriteFile(n.config.Providers, []byte(changed), 0o600); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		n.config.Providers = sample
		n.restartKubelet()
	})
	n.restartKubelet()
}

// runKubelet starts the kubelet's process and waits for it to say that it is
// well.
func (n *node) runKubelet() {
	n.t.Helper()
	begin := time.Now()
	// The test's own context ends before its cleanup.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.t.Context()), startTime)
	defer cancel()
	started, err := n.place.StartKubelet(ctx, n.config)
	n.kubelet = started
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Logf("the kubelet started in %s", time.Since(begin).Round(time.Millisecond))
}

func (n *node) stopKubelet() {
	n.t.Helper()
	if n.kubelet == nil {
		return
	}
	if err := n.kubelet.Stop(); err != nil {
		n.t.Error(err)
	}
	n.kubelet = nil
}

// install puts a program in the plugin's place, as an installer does: nobody
// sees half of it, and a plugin that runs goes on.
func (n *node) install(program string) {
	n.t.Helper()
	content, err := os.ReadFile(program)
	if err != nil {
		n.t.Fatal(err)
	}
	target := filepath.Join(n.config.Plugins, n.vendor.plugin)
	if err := os.WriteFile(target+".new", content, 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Rename(target+".new", target); err != nil {
		n.t.Fatal(err)
	}
}

// complaints are what the plugin wrote to its standard error about an image, as
// the kubelet's log repeats it.
func (n *node) complaints(image string) []string {
	n.t.Helper()
	content, err := os.ReadFile(n.kubelet.Log)
	if err != nil {
		n.t.Fatal(err)
	}
	// The log shows a text of several lines, and this one ends its only line.
	begin := fmt.Sprintf("error execing credential provider plugin %s for image %s: exit status 1: ", n.vendor.plugin, repository(image))
	var found []string
	for _, rest := range strings.Split(string(content), begin)[1:] {
		complaint, _, _ := strings.Cut(rest, "\n > provider=")
		found = append(found, complaint)
	}
	return found
}
