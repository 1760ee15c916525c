package install

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"regcred/cmd/regcred/internal/tree"
)

// Platform is a way in which nodes are set up: where its kubelet looks for
// providers, and who tells it.
type Platform struct {
	// Name is that of --platform, and Title what people call it.
	Name, Title string

	// Cloud is the one that it always runs in, or empty.
	Cloud string

	// BinDir and Config are what its kubelets are given, if they are given any.
	BinDir, Config string

	// Given means that the platform itself gives the kubelet the flags, or that
	// its kubelet needs none for these places.
	Given bool

	// Own is the plugin for which the platform writes the configuration, when it
	// sets the node up.
	Own string

	// Refusal says why nothing can be installed, and what to do instead.
	Refusal string

	// Note is what an administrator has to know afterwards.
	Note string

	// Flags say how the kubelet is given flags by hand, where Given is false.
	Flags string

	// Arguments is a file with the kubelet's flags, one a line.
	Arguments string

	// Units are those that run the kubelet, the likeliest first. Nil is
	// kubelet.service.
	Units []string

	// FileOnly means that a directory of configurations is not read.
	FileOnly bool

	// Args are those of a provider that is added, by the plugin's name, if the
	// file that they name is there.
	Args map[string]string

	here func(*tree.Tree, map[string]string) bool
}

const defaultFlags = "add them to the kubelet's command line, as in KUBELET_EXTRA_ARGS of its systemd unit"

func exists(names ...string) func(*tree.Tree, map[string]string) bool {
	return func(t *tree.Tree, _ map[string]string) bool { return slices.ContainsFunc(names, t.Exists) }
}

func osIs(ids ...string) func(*tree.Tree, map[string]string) bool {
	return func(_ *tree.Tree, release map[string]string) bool { return slices.Contains(ids, release["ID"]) }
}

// Platforms are those that are known. The first that is here counts.
func Platforms() []Platform {
	return []Platform{
		{
			Name: "bottlerocket", Title: "Bottlerocket", here: osIs("bottlerocket"),
			Refusal: "its root is verified and read-only, so that no plugin can be added: enable the one that it has with settings.kubernetes.credential-providers of its API, or build a variant with ours",
		},
		{
			Name: "talos", Title: "Talos", here: osIs("talos"),
			Refusal: "its root is read-only: put the plugins into a system extension, below /usr/local/lib/kubelet/credentialproviders, and the configuration into the machine's, as KubeCredentialProviderConfig or .machine.kubelet.credentialProviderConfig",
		},
		{
			Name: "openshift", Title: "OpenShift",
			here: func(t *tree.Tree, release map[string]string) bool {
				return release["ID"] == "rhcos" || release["OPENSHIFT_VERSION"] != "" || t.Exists("/etc/machine-config-daemon")
			},
			Refusal: "its nodes belong to the Machine Config Operator, which writes its files again, and /usr is read-only: build the plugins into a layered node image, below /usr/libexec/kubelet-image-credential-provider-plugins, and give the configuration as a MachineConfig",
		},
		{
			Name: "microshift", Title: "MicroShift", BinDir: packageDir, Config: "/etc/microshift/credential-providers.yaml",
			here: exists("/usr/bin/microshift", "/etc/microshift"), Units: []string{"microshift.service"}, FileOnly: true,
			Flags: "set kubelet.imageCredentialProviderBinDir and kubelet.imageCredentialProviderConfigPath in /etc/microshift/config.yaml to them",
		},
		{
			Name: "kube-up", Title: "kube-up on Google Cloud", Cloud: "gcp", BinDir: "/home/kubernetes/bin", Config: "/home/kubernetes/cri-auth-config.yaml", Given: true,
			here: exists("/home/kubernetes/cri-auth-config.yaml"),
		},
		{
			Name: "gke", Title: "GKE", Cloud: "gcp", BinDir: "/home/kubernetes/bin", Config: "/etc/srv/kubernetes/cri_auth_config.yaml", Given: true,
			here: func(t *tree.Tree, _ map[string]string) bool {
				return t.Exists("/etc/srv/kubernetes") && t.Exists("/home/kubernetes/bin")
			},
			Note: "GKE makes nodes without asking: install by a DaemonSet, so that each new one gets it",
		},
		{
			Name: "eks", Title: "EKS", Cloud: "aws", BinDir: "/etc/eks/image-credential-provider", Config: "/etc/eks/image-credential-provider/config.json", Given: true,
			Own:  "ecr-credential-provider",
			here: exists("/etc/eks"),
			Note: "nodeadm writes the configuration again when it configures the node, with the provider for ECR alone: other providers have to be installed after it, as by a DaemonSet",
		},
		{
			Name: "aks", Title: "AKS", Cloud: "azure", BinDir: "/var/lib/kubelet/credential-provider", Config: "/var/lib/kubelet/credential-provider-config.yaml", Given: true,
			Own: "acr-credential-provider",
			here: func(t *tree.Tree, _ map[string]string) bool {
				return t.Exists("/opt/azure") && (t.Exists("/etc/kubernetes/azure.json") || t.Exists("/var/lib/kubelet/credential-provider"))
			},
			Args: map[string]string{"acr-credential-provider": azureJSON},
			Note: "AKS sets its nodes up again when it upgrades their image: install by a DaemonSet, so that each new one gets it",
		},
		{
			Name: "capz", Title: "Cluster API on Azure", Cloud: "azure", BinDir: "/var/lib/kubelet/credential-provider", Config: "/var/lib/kubelet/credential-provider-config.yaml",
			here:  exists("/var/lib/kubelet/credential-provider"),
			Flags: kubeadmFlags, Args: map[string]string{"acr-credential-provider": azureJSON},
		},
		{
			Name: "image-builder", Title: "image-builder for AWS", Cloud: "aws", BinDir: "/opt/bin", Config: "/var/usr/ecr-credential-provider/ecr-credential-provider-config",
			here: exists("/var/usr/ecr-credential-provider"), Flags: kubeadmFlags,
		},
		{
			Name: "kops", Title: "kOps", BinDir: "/usr/local/bin", Config: "/var/lib/kubelet/credential-provider.conf", Given: true,
			here: exists("/opt/kops", "/var/lib/kubelet/credential-provider.conf"),
			Note: "nodeup writes the configuration again when it sets the node up",
		},
		{
			Name: "rke2", Title: "RKE2", BinDir: rancherBin, Config: rancherConfig, Given: true, FileOnly: true,
			here: exists("/etc/rancher/rke2", "/var/lib/rancher/rke2"), Units: []string{"rke2-agent.service", "rke2-server.service"},
			Flags: "set image-credential-provider-bin-dir and image-credential-provider-config in /etc/rancher/rke2/config.yaml to them",
		},
		{
			Name: "k3s", Title: "k3s", BinDir: rancherBin, Config: rancherConfig, Given: true, FileOnly: true,
			here: exists("/etc/rancher/k3s", "/var/lib/rancher/k3s", "/usr/local/bin/k3s", "/usr/bin/k3s"), Units: []string{"k3s-agent.service", "k3s.service"},
			Flags: "set image-credential-provider-bin-dir and image-credential-provider-config in /etc/rancher/k3s/config.yaml to them",
		},
		{
			Name: "microk8s", Title: "MicroK8s", BinDir: "/var/snap/microk8s/common/regcred/bin", Config: "/var/snap/microk8s/common/credential-provider-config.yaml",
			here: exists("/var/snap/microk8s"), Arguments: microk8sArguments, Units: []string{"snap.microk8s.daemon-kubelite.service"},
			Flags: "add them to " + microk8sArguments + ", one a line",
		},
		{
			Name: "k0s", Title: "k0s", BinDir: packageDir, Config: defaultConfig, here: exists("/var/lib/k0s", "/etc/k0s", "/usr/local/bin/k0s"),
			Flags: "give them to k0s as --kubelet-extra-args, as by k0s install worker --force", Units: []string{"k0sworker.service", "k0scontroller.service"},
		},
		{
			Name: "gardener", Title: "Gardener", BinDir: "/opt/bin", Config: "/opt/gardener/ecr-credential-provider-config.json",
			here:  exists("/var/lib/gardener-node-agent", "/opt/gardener", "/var/lib/cloud-config-downloader"),
			Flags: "an extension of Gardener that changes the OperatingSystemConfig has to: gardener-node-agent writes the kubelet's unit again",
			Note:  "gardener-node-agent writes its files again: a plugin that replaces Gardener's has to be installed again after that, as by a DaemonSet",
		},
		{
			Name: "oke", Title: "OKE", Cloud: "oracle", BinDir: "/usr/local/bin", Config: "/etc/kubernetes/credential-provider-config.yaml",
			here:  exists("/etc/oke", "/var/run/oke-init.sh", "/run/oke-init.sh"),
			Flags: "give them to oke-init.sh in the node's cloud-init, as --kubelet-extra-args",
		},
		{
			Name: "iks", Title: "IBM Cloud Kubernetes Service", Cloud: "ibm", BinDir: packageDir, Config: defaultConfig,
			here:  func(*tree.Tree, map[string]string) bool { return false },
			Flags: "IBM documents no way to change the flags of its workers' kubelets; " + defaultFlags + ", where you can",
		},
		{
			Name: "kubeadm", Title: "kubeadm", BinDir: packageDir, Config: defaultConfig, Flags: kubeadmFlags,
			here: exists("/usr/bin/kubeadm", "/usr/local/bin/kubeadm", "/opt/bin/kubeadm", "/etc/kubernetes/kubelet.conf", "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"),
		},
		{Name: "generic", Title: "any other", BinDir: packageDir, Config: defaultConfig, Flags: defaultFlags, here: func(*tree.Tree, map[string]string) bool { return true }},
	}
}

const (
	azureJSON         = "/etc/kubernetes/azure.json"
	rancherBin        = "/var/lib/rancher/credentialprovider/bin"
	rancherConfig     = "/var/lib/rancher/credentialprovider/config.yaml"
	microk8sArguments = "/var/snap/microk8s/current/args/kubelet"
	defaultConfig     = "/etc/regcred/credential-providers.yaml"
	kubeadmFlags      = "add them to nodeRegistration.kubeletExtraArgs of kubeadm's configuration, or to KUBELET_EXTRA_ARGS in /etc/default/kubelet (Debian) or /etc/sysconfig/kubelet"
)

// PlatformNames are those of --platform.
func PlatformNames() []string {
	platforms := Platforms()
	names := make([]string, 0, len(platforms))
	for _, platform := range platforms {
		names = append(names, platform.Name)
	}
	slices.Sort(names)
	return names
}

// findPlatform returns the platform of a name, or the one that is here if that
// is empty.
func findPlatform(t *tree.Tree, name string) (Platform, error) {
	release := osRelease(t)
	for _, platform := range Platforms() {
		if name == platform.Name || name == "" && platform.here(t, release) {
			return platform.on(t, release), nil
		}
	}
	return Platform{}, fmt.Errorf("platform %.80q: want one of %s", name, strings.Join(PlatformNames(), ", "))
}

// on adapts a platform to a node's distribution.
func (p Platform) on(t *tree.Tree, release map[string]string) Platform {
	switch id := release["ID"]; {
	case p.Name == "kops" && id == "flatcar":
		p.BinDir = "/opt/kubernetes/bin"
	case p.Name == "kops" && id == "cos":
		p.BinDir = "/home/kubernetes/bin"
	case p.BinDir == packageDir && (id == "flatcar" || id == "fedora" && release["VARIANT_ID"] == "coreos"):
		p.BinDir = "/opt/regcred/bin" // /usr is read-only
	}
	if p.Name == "gardener" && !t.Exists(p.Config) {
		p.BinDir, p.Config = "/opt/regcred/bin", "/opt/regcred/credential-providers.yaml"
	}
	return p
}

// withPlaces is a platform with the places of an installation. It gives its
// kubelet no others than its own.
func (p Platform) withPlaces(of *Record) Platform {
	p.Given = p.Given && p.BinDir == of.BinDir && p.Config == of.Config
	p.BinDir, p.Config = of.BinDir, of.Config
	return p
}

// osRelease is what the distribution says of itself.
func osRelease(t *tree.Tree) map[string]string {
	values := map[string]string{}
	for _, name := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		text, err := t.Read(name, 1<<20)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
				values[key] = strings.Trim(value, `"'`)
			}
		}
		return values
	}
	return values
}

// flagsFor is how the kubelet is told of the places.
func flagsFor(binDir, config string) []string {
	return []string{binDirFlag + "=" + path.Clean(binDir), ConfigFlag + "=" + path.Clean(config)}
}

const (
	// ConfigFlag is the kubelet's flag for its configuration of providers.
	ConfigFlag = "--image-credential-provider-config"
	binDirFlag = "--image-credential-provider-bin-dir"
)
