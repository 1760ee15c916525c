package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"
	"sigs.k8s.io/yaml"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/node/part"
)

// startKubelet starts the kubelet with a sample of the plugin's configuration.
// Its directory of plugins is its own: a case may replace what is in it.
func (n *node) startKubelet(sample string) {
	n.t.Helper()
	n.config = part.Kubelet{
		Providers: n.configure(n.sample(sample), n.adapt),
		Plugins:   filepath.Join(n.place.Dir, "plugins"),
		Cluster:   n.api != nil,
	}
	if err := os.MkdirAll(n.config.Plugins, 0o755); err != nil {
		n.t.Fatal(err)
	}
	n.install(cloudtest.Binary(n.Plugin))
	n.runKubelet()
}

// adapt gives a sample what the cloud's node needs.
func (n *node) adapt(provider *kubeletconfig.CredentialProvider) {
	provider.Args = n.Args
	for _, variable := range n.Env {
		name, value, _ := strings.Cut(variable, "=")
		provider.Env = append(provider.Env, kubeletconfig.ExecEnvVar{Name: name, Value: value})
	}
	if provider.TokenAttributes != nil {
		provider.TokenAttributes.ServiceAccountTokenAudience = n.Audience
	}
}

// sample is a configuration that the plugin's help and documentation tell people
// to install.
func (n *node) sample(name string) string {
	return cloudtest.Path("plugins", strings.TrimSuffix(n.Plugin, "-credential-provider"), name)
}

// configure writes a configuration of credential providers with a change to the
// only one in it, and returns its path.
func (n *node) configure(from string, change func(*kubeletconfig.CredentialProvider)) string {
	n.t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		n.t.Fatal(err)
	}
	var config kubeletconfig.CredentialProviderConfig
	if err := yaml.UnmarshalStrict(content, &config); err != nil {
		n.t.Fatalf("%s: %v", from, err)
	}
	if len(config.Providers) != 1 {
		n.t.Fatalf("%s has %d providers, want 1", from, len(config.Providers))
	}
	change(&config.Providers[0])
	if content, err = json.Marshal(config); err != nil {
		n.t.Fatal(err)
	}
	file, err := os.CreateTemp(n.place.Dir, "providers-*.json")
	if err != nil {
		n.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		n.t.Fatal(err)
	}
	return file.Name()
}

// restartKubelet starts the kubelet again, as it was.
func (n *node) restartKubelet() {
	n.t.Helper()
	n.stopKubelet()
	n.runKubelet()
}

// reconfigureKubelet restarts the kubelet with a change to its configuration
// of credential providers, until the test ends.
func (n *node) reconfigureKubelet(change func(*kubeletconfig.CredentialProvider)) {
	n.t.Helper()
	before := n.config.Providers
	n.config.Providers = n.configure(before, change)
	n.t.Cleanup(func() {
		n.config.Providers = before
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
	target := filepath.Join(n.config.Plugins, n.Plugin)
	if err := os.WriteFile(target+".new", content, 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Rename(target+".new", target); err != nil {
		n.t.Fatal(err)
	}
}

// wantComplaint fails the test unless the kubelet's log has a line about an
// image that holds all of what the plugin wrote to its standard error, as
// somebody finds it who searches for the image. It has to say the words.
func (n *node) wantComplaint(image string, words ...string) {
	n.t.Helper()
	content, err := os.ReadFile(n.kubelet.Log)
	if err != nil {
		n.t.Fatal(err)
	}
	begin := fmt.Sprintf("error execing credential provider plugin %s for image %s: exit status 1: ", n.Plugin, repository(image))
	found := 0
	for line := range strings.Lines(string(content)) {
		if !strings.Contains(line, begin) {
			continue
		}
		// A text of several lines has lines of its own in the log, unquoted.
		_, rest, _ := strings.Cut(line, " err=")
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			n.t.Fatalf("the plugin's failure is not on one line of the kubelet's log: %s", line)
		}
		failure, err := strconv.Unquote(quoted)
		if err != nil {
			n.t.Fatal(err)
		}
		_, complaint, _ := strings.Cut(failure, begin)
		if found++; found == 1 {
			n.t.Logf("the kubelet's log: %s", line)
		}
		if !strings.HasPrefix(complaint, n.Plugin+": "+host(image)+": ") {
			n.t.Errorf("the plugin does not begin with its name and the host: %s", complaint)
		}
		for _, word := range words {
			if !strings.Contains(complaint, word) {
				n.t.Errorf("the plugin does not say %q: %s", word, complaint)
			}
		}
	}
	if found == 0 {
		n.t.Error("the kubelet's log has no line with the plugin's failure")
	}
}
