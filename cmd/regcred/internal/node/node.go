// Package node finds the kubelet of this node and what it was configured with:
// its flags, its environment, its configuration and the files that they name.
//
// The kubelet is looked for among the processes, because there is no other
// place where all that starts one agrees on. A process is believed only where
// nobody but root could have started it on the node itself: what it names is
// going to be run.
package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"regcred/shared/file"
	"regcred/shared/kubelet"
)

// Defaults of the kubelet.
const (
	DefaultRootDir  = "/var/lib/kubelet"
	DefaultEndpoint = "unix:///run/containerd/containerd.sock"
)

// Options say where to look, and what is known already.
type Options struct {
	// Root is the directory that holds the node's file tree, with its /proc.
	// Empty is "/": this machine.
	Root string

	// PID is the kubelet's process. Zero means that it is looked for.
	PID int

	// The paths of the kubelet's flags of these names, or of what they default
	// to. What is given wins over what is found. They are paths in Root.
	ProviderConfig string // --image-credential-provider-config
	BinDir         string // --image-credential-provider-bin-dir
	Kubeconfig     string // --kubeconfig
	RootDir        string // --root-dir
	KubeletConfig  string // --config
}

// Node is a node's kubelet, or what is known of one that does not run.
//
// Paths are those that the kubelet has, absolute, and empty where there is
// none. Path says where they are for this process.
type Node struct {
	// Process is the kubelet's. Nil means that none was found.
	Process *Process

	ProviderConfig string
	BinDir         string
	Kubeconfig     string
	RootDir        string // never empty

	// KubeletConfig and KubeletConfigDir are where Configuration was read from.
	KubeletConfig    string
	KubeletConfigDir string

	// Name is the node's name as far as it is known here: that of
	// --hostname-override, or the machine's.
	Name string

	// Configuration is what the kubelet runs with: its files, and over them
	// its flags.
	Configuration Configuration

	// Env is the kubelet's environment, which its plugins inherit. Nil if it
	// cannot be read.
	Env []string

	// WorkDir is the kubelet's working directory: it looks for docker's
	// configuration there. "/" if it is not known.
	WorkDir string

	// Notes are what is worth knowing about all this: what was found instead
	// of a kubelet, and what could not be read. Each is a sentence.
	Notes []string

	root  string // of the node's file tree
	base  string // of the kubelet's own file tree
	given Options
}

// Find finds the node's kubelet. It is an error if the process that Options
// names is none, or if a file that they name cannot be read; that there is no
// kubelet is not.
func Find(o Options) (*Node, error) {
	if o.Root == "" {
		o.Root = "/"
	}
	if err := o.makeAbsolute(); err != nil {
		return nil, err
	}
	n := &Node{root: o.Root, base: o.Root, given: o, WorkDir: "/", RootDir: DefaultRootDir}
	if err := n.findProcess(); err != nil {
		return nil, err
	}
	var flags flagValues
	if n.Process != nil {
		n.base = n.Process.base
		n.Env, n.WorkDir = n.Process.env, n.Process.dir
		flags = n.kubeletFlags()
	}
	n.take(flags)
	if err := n.configure(flags); err != nil {
		return nil, err
	}
	return n, nil
}

// makeAbsolute makes what was given relative to this process's directory
// absolute.
func (o *Options) makeAbsolute() error {
	for _, path := range []*string{&o.ProviderConfig, &o.BinDir, &o.Kubeconfig, &o.RootDir, &o.KubeletConfig} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = absolute
	}
	return nil
}

// take takes the paths from the kubelet's flags, and from what was given.
func (n *Node) take(flags flagValues) {
	for _, setting := range []struct {
		into        *string
		flag, given string
	}{
		{&n.ProviderConfig, "image-credential-provider-config", n.given.ProviderConfig},
		{&n.BinDir, "image-credential-provider-bin-dir", n.given.BinDir},
		{&n.Kubeconfig, "kubeconfig", n.given.Kubeconfig},
		{&n.RootDir, "root-dir", n.given.RootDir},
		{&n.KubeletConfig, "config", n.given.KubeletConfig},
		{&n.KubeletConfigDir, "config-dir", ""},
	} {
		switch value := flags[setting.flag]; {
		case setting.given != "":
			*setting.into = setting.given
		case value != "":
			*setting.into = n.absolute(value)
		}
	}
	if n.given.KubeletConfig != "" {
		n.KubeletConfigDir = "" // which is the other configuration's
	}
	if n.Name = strings.ToLower(strings.TrimSpace(flags["hostname-override"])); n.Name == "" {
		n.Name = n.hostname()
	}
}

// absolute is a path that may be relative to the kubelet's directory.
func (n *Node) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(n.WorkDir, path)
}

func (n *Node) hostname() string {
	if n.base != "/" {
		text, _ := n.Read("/etc/hostname")
		return strings.ToLower(strings.TrimSpace(string(text)))
	}
	name, _ := os.Hostname()
	return strings.ToLower(strings.TrimSpace(name))
}

// Path is where a path of the kubelet's is for this process: the kubelet may
// run in a container, or this process may.
//
// What is given on the command line of the tool is where it says.
func (n *Node) Path(path string) string {
	if path == "" {
		return ""
	}
	for _, given := range []string{n.given.ProviderConfig, n.given.BinDir, n.given.Kubeconfig, n.given.RootDir, n.given.KubeletConfig} {
		if given != "" && (path == given || strings.HasPrefix(path, given+"/")) {
			return within(n.root, path)
		}
	}
	return within(n.base, path)
}

// maxFile bounds a file of the node's, and what the kernel tells of a process.
const maxFile = 4 << 20

// Read reads a file of the kubelet's, of at most 4 MiB.
func (n *Node) Read(path string) ([]byte, error) {
	text, err := readFile(n.Path(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// NeedProviders returns an error that says what to do where it is not known
// which providers the kubelet has.
func (n *Node) NeedProviders() error {
	if n.ProviderConfig != "" && n.BinDir != "" {
		return nil
	}
	const give = "give --config and --bin-dir, the kubelet's --image-credential-provider-config and --image-credential-provider-bin-dir"
	switch {
	case n.ProviderConfig != "" || n.BinDir != "":
		missing := "--bin-dir"
		if n.ProviderConfig == "" {
			missing = "--config"
		}
		return fmt.Errorf("one of --config and --bin-dir without the other: give %s, too", missing)
	case n.Process != nil:
		return fmt.Errorf("the kubelet (%s) has no credential providers: it runs without --image-credential-provider-config; to try some, %s", n.Process, give)
	}
	if place, ok := n.Known(); ok {
		return fmt.Errorf("no kubelet runs here, but the files of %s are here: give --config %s --bin-dir %s", place.Platform, place.Config, place.BinDir)
	}
	return fmt.Errorf("%s: %s", strings.Join(append([]string{"no kubelet runs here"}, n.Notes...), "; "), give)
}

// Place is where a platform keeps its credential providers.
type Place struct{ Platform, Config, BinDir string }

// Known returns where the node has credential providers, by the places that
// platforms keep them at. It reports false if none of them has any.
func (n *Node) Known() (Place, bool) {
	for _, place := range places() {
		config, err := os.Stat(within(n.base, place.Config))
		if err != nil || config.IsDir() {
			continue
		}
		if bin, err := os.Stat(within(n.base, place.BinDir)); err == nil && bin.IsDir() {
			return place, true
		}
	}
	return Place{}, false
}

func places() []Place {
	return []Place{
		{"EKS", "/etc/eks/image-credential-provider/config.json", "/etc/eks/image-credential-provider"},
		{"Bottlerocket", "/etc/kubernetes/kubelet/credential-provider-config.yaml", "/usr/libexec/kubernetes/kubelet/plugins"},
		{"image-builder for AWS", "/var/usr/ecr-credential-provider/ecr-credential-provider-config", "/opt/bin"},
		{"AKS", "/var/lib/kubelet/credential-provider-config.yaml", "/var/lib/kubelet/credential-provider"},
		{"GKE", "/etc/srv/kubernetes/cri_auth_config.yaml", "/home/kubernetes/bin"},
		{"GCE", "/home/kubernetes/cri-auth-config.yaml", "/home/kubernetes/bin"},
		{"OKE", "/etc/kubernetes/credential-provider-config.yaml", "/usr/local/bin"},
		{"kOps", "/var/lib/kubelet/credential-provider.conf", "/usr/local/bin"},
		{"k3s or RKE2", "/var/lib/rancher/credentialprovider/config.yaml", "/var/lib/rancher/credentialprovider/bin"},
		{"Talos", "/etc/kubernetes/kubelet-credentialproviderconfig.yaml", "/usr/local/lib/kubelet/credentialproviders"},
		{"OpenShift on AWS", "/etc/kubernetes/credential-providers/ecr-credential-provider.yaml", "/usr/libexec/kubelet-image-credential-provider-plugins"},
		{"OpenShift on Google Cloud", "/etc/kubernetes/credential-providers/gcr-credential-provider.yaml", "/usr/libexec/kubelet-image-credential-provider-plugins"},
		{"OpenShift on Azure", "/etc/kubernetes/credential-providers/acr-credential-provider.yaml", "/usr/libexec/kubelet-image-credential-provider-plugins"},
		{"OpenShift", "/etc/kubernetes/credential-providers/generic-credential-provider.yaml", "/usr/libexec/kubelet-image-credential-provider-plugins"},
		{"regcred", "/etc/regcred/credential-providers.yaml", "/usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec"},
	}
}

// DockerFiles are where the kubelet looks for docker configuration of the node.
func (n *Node) DockerFiles() kubelet.NodeFiles {
	files := kubelet.NodeFiles{RootDir: n.RootDir, Dir: n.WorkDir, Root: n.Path("/")}
	for _, variable := range n.Env {
		if home, found := strings.CutPrefix(variable, "HOME="); found {
			files.Home = home // the last one counts
		}
	}
	return files
}

func (n *Node) note(format string, args ...any) {
	n.Notes = append(n.Notes, fmt.Sprintf(format, args...))
}

// readFile reads a regular file of at most maxFile bytes.
func readFile(path string) ([]byte, error) {
	return file.ReadAny(path, maxFile)
}

// within is where a path of a file tree is, with the links that lead to it
// followed within that tree. A path that does not exist is where it would be.
func within(root, path string) string {
	if root == "/" {
		return path
	}
	const maxLinks = 40 // as the kernel's
	rest := strings.Split(filepath.Clean("/"+path), "/")
	at := "/"
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		target, err := os.Readlink(filepath.Join(root, at, name))
		if links++; err != nil || links > maxLinks {
			links--
			at = filepath.Join(at, name)
			continue
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return filepath.Join(root, at)
}
