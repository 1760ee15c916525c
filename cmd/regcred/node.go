package main

import (
	"context"

	"github.com/spf13/pflag"

	"regcred/cmd/regcred/internal/cluster"
	"regcred/cmd/regcred/internal/node"
	"regcred/shared/kubelet/pulls"
)

// nodeFlags are the flags of the verbs that ask the node's kubelet: where
// things are which are not found by themselves.
type nodeFlags struct{ options node.Options }

func (f *nodeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.options.ProviderConfig, "config", "", "file or `directory` of the credential providers, the kubelet's --image-credential-provider-config; found from the kubelet that runs")
	flags.StringVar(&f.options.BinDir, "bin-dir", "", "`directory` of their binaries, the kubelet's --image-credential-provider-bin-dir; found likewise")
	flags.StringVar(&f.options.Kubeconfig, "kubeconfig", "", "`file` that says how the API server is reached; the kubelet's own if it has one")
	flags.StringVar(&f.options.RootDir, "root-dir", "", "the kubelet's `directory`; found likewise, else "+node.DefaultRootDir)
	flags.StringVar(&f.options.KubeletConfig, "kubelet-config", "", "the kubelet's configuration `file`, its --config; found likewise")
	flags.IntVar(&f.options.PID, "kubelet-pid", 0, "`process` of the kubelet, where several run or it runs in a container")
}

// find finds the node's kubelet.
func (f *nodeFlags) find() (*node.Node, error) { return node.Find(f.options) }

// shown is a node as reports show it.
type shown struct{ *node.Node }

// Shown returns where things are.
func (s shown) Shown() (pid int, config, binDir string) {
	if s.Process != nil {
		pid = s.Process.PID
	}
	return pid, s.ProviderConfig, s.BinDir
}

// verificationOf is how the node's kubelet verifies who may use an image that is
// here. One that runs and keeps no records does not; one that does not run yet
// will, unless it is told otherwise.
func verificationOf(n *node.Node, records pulls.Store) pulls.Policy {
	gate, told := n.Configuration.FeatureGates["KubeletEnsureSecretPulledImages"]
	return pulls.Policy{
		Off:          told && !gate || !told && n.Process != nil && !records.Exists(),
		Verification: n.Configuration.Verification,
		Allowlist:    n.Configuration.Allowlist,
	}
}

// apiServer is the API server of the node's kubeconfig, or of this shell's.
func (a *app) apiServer(ctx context.Context, n *node.Node) (*cluster.Client, error) {
	return cluster.New(ctx, cluster.Options{Kubeconfig: n.Kubeconfig, Path: n.Path, Getenv: a.getenv})
}
