package node_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"regcred/e2e/cloud/cloudtest"
)

// A node with its vendor's plugin gets ours by the tool, which finds the kubelet
// by itself, and has the vendor's again afterwards.
func installedByTheTool(n *node) {
	n.keepApart("/var/lib")
	plugin, before := filepath.Join(n.config.Plugins, n.Plugin), n.config.Providers
	program := filepath.Join(n.t.TempDir(), n.Plugin)
	if err := os.WriteFile(program, []byte(vendorsPlugin), 0o755); err != nil {
		n.t.Fatal(err)
	}
	n.install(program)
	n.t.Cleanup(func() {
		n.install(cloudtest.Binary(n.Plugin))
		n.config.Providers = before
		n.restartKubelet()
	})
	config := n.content(before)
	refused := n.pod("vendor", n.newImage())
	n.run(refused)
	n.wantRefused(refused, "failed to pull")

	// Another cloud's plugin too, for which the configuration changes.
	if code, _, _ := n.regcred("install", "--provider", n.short(), "--provider", "icr"); code != 0 {
		n.t.Fatalf("exit code %d", code)
	}
	if n.content(plugin) != n.content(cloudtest.Binary(n.Plugin)) {
		n.t.Error("the vendor's plugin was not replaced")
	}
	first := n.pod("before-the-restart", n.newImage())
	n.run(first)
	n.wantRunning(first)
	if s := n.status(); !s.Kubelet.RestartPending || !s.Kubelet.Told {
		n.t.Errorf("before the restart: %+v", s)
	}
	n.restartKubelet()
	second := n.pod("after-the-restart", n.newImage())
	n.run(second)
	n.wantRunning(second)
	n.reportMetrics()
	if s := n.status(); len(s.Problems) > 0 || s.ConfigHash == "" || s.Kubelet.ConfigHash != s.ConfigHash {
		n.t.Errorf("after the restart: %+v", s)
	}

	if code, _, _ := n.regcred("uninstall"); code != 0 {
		n.t.Fatalf("exit code %d", code)
	}
	n.restartKubelet()
	if n.content(plugin) != vendorsPlugin || n.content(before) != config {
		n.t.Error("the node is not as it was")
	}
	if names, err := os.ReadDir(n.config.Plugins); err != nil || len(names) != 1 {
		n.t.Errorf("in the directory of plugins there are %v, %v", names, err)
	}
	again := n.pod("uninstalled", n.newImage())
	n.run(again)
	n.wantRefused(again, "failed to pull")
}

// vendorsPlugin is a vendor's that knows no registry of ours.
const vendorsPlugin = `#!/bin/sh
cat >/dev/null
echo '{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","cacheKeyType":"Image","cacheDuration":"0s","auth":{}}'
`

// short is what people call the plugin.
func (n *node) short() string { return n.Plugin[:len(n.Plugin)-len("-credential-provider")] }

func (n *node) content(name string) string {
	n.t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(text)
}

// toolStatus is what regcred status -o json says.
type toolStatus struct {
	ConfigHash string
	Kubelet    struct {
		Told, RestartPending bool
		ConfigHash           string
	}
	Problems []string
}

func (n *node) status() (s toolStatus) {
	n.t.Helper()
	_, out, _ := n.regcred("status", "-o", "json")
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		n.t.Fatal(err)
	}
	return s
}

// keepApart keeps what the case writes below a directory from the machine that
// the test runs on.
func (n *node) keepApart(dir string) {
	n.t.Helper()
	apart := filepath.Join(n.place.Dir, "apart")
	for _, name := range []string{"upper", "work"} {
		if err := os.MkdirAll(filepath.Join(apart, name), 0o755); err != nil {
			n.t.Fatal(err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", dir, apart, apart)
	if err := syscall.Mount("overlay", dir, "overlay", 0, options); err != nil {
		n.t.Skipf("mount overlay: %v", err)
	}
	n.t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// Where the kubelet reads a directory, what is added is a file of its own there.
func installedIntoADirectory(n *node) {
	n.keepApart("/var/lib")
	before := n.config.Providers
	n.t.Cleanup(func() {
		n.config.Providers = before
		n.restartKubelet()
	})
	directory := filepath.Join(n.place.Dir, "providers.d")
	if err := os.Mkdir(directory, 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "10-theirs.json"), []byte(n.content(before)), 0o644); err != nil {
		n.t.Fatal(err)
	}
	n.config.Providers = directory
	n.restartKubelet()
	if code, _, _ := n.regcred("install", "--provider", "dockerconfig", "--match-images", "registry.example.com"); code != 0 {
		n.t.Fatalf("exit code %d", code)
	}
	if names, err := os.ReadDir(directory); err != nil || len(names) != 2 || names[1].Name() != "regcred.yaml" {
		n.t.Errorf("in the directory there are %v, %v", names, err)
	}
	n.restartKubelet()
	if s := n.status(); len(s.Problems) > 0 || s.ConfigHash == "" || s.Kubelet.ConfigHash != s.ConfigHash {
		n.t.Errorf("after the restart: %+v", s)
	}
	pod := n.pod("app", n.newImage())
	n.run(pod)
	n.wantRunning(pod)
	if code, _, _ := n.regcred("uninstall"); code != 0 {
		n.t.Fatalf("exit code %d", code)
	}
	if names, err := os.ReadDir(directory); err != nil || len(names) != 1 || n.content(filepath.Join(directory, names[0].Name())) != n.content(before) {
		n.t.Errorf("in the directory there are %v, %v", names, err)
	}
}
