package install

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/cmd/regcred/internal/tree"
	"regcred/plugins"
	"regcred/shared/kubelet"
)

// Plugin is a plugin of this suite.
type Plugin struct {
	// Name is the name of its file, and Short what people call it.
	Name, Short string

	// Cloud is the one that it is for, or empty.
	Cloud string

	// Vendors are other names under which its vendor's plugin is installed. A
	// provider of such a name keeps it.
	Vendors []string
}

// Plugins are all of them.
func Plugins() []Plugin {
	return []Plugin{
		{"ecr-credential-provider", "ecr", "aws", nil},
		{"gcr-credential-provider", "gcr", "gcp", []string{"auth-provider-gcp", "gcp-credential-provider"}},
		{"acr-credential-provider", "acr", "azure", nil},
		{"ocir-credential-provider", "ocir", "oracle", []string{"credential-provider-oke", "oke-credential-provider"}},
		{"icr-credential-provider", "icr", "ibm", nil},
		{"dockerconfig-credential-provider", "dockerconfig", "", nil},
	}
}

// Clouds are the names of the clouds.
func Clouds() []string {
	var names []string
	for _, plugin := range Plugins() {
		if plugin.Cloud != "" {
			names = append(names, plugin.Cloud)
		}
	}
	return names
}

// pluginNamed returns the plugin of a name, the short one too.
func pluginNamed(name string) (Plugin, error) {
	var known []string
	for _, plugin := range Plugins() {
		if name == plugin.Name || name == plugin.Short {
			return plugin, nil
		}
		known = append(known, plugin.Short)
	}
	return Plugin{}, fmt.Errorf("provider %.80q: want one of %s", name, strings.Join(known, ", "))
}

// pluginOf returns the plugin that answers under a name in the kubelet's
// configuration.
func pluginOf(name string) (Plugin, bool) {
	for _, plugin := range Plugins() {
		if name == plugin.Name || slices.Contains(plugin.Vendors, name) {
			return plugin, true
		}
	}
	return Plugin{}, false
}

// sample is the provider that the plugin's documentation tells people to
// install.
func (p Plugin) sample() (kubeletconfig.CredentialProvider, error) {
	name := p.Short + "/node.yaml"
	text, err := plugins.Samples.ReadFile(name)
	if err != nil {
		return kubeletconfig.CredentialProvider{}, fmt.Errorf("%s has no sample: give one with --providers-from", p.Name)
	}
	config, err := kubelet.Parse(name, text)
	if err != nil {
		return kubeletconfig.CredentialProvider{}, err
	}
	return config.Providers[0].CredentialProvider, nil
}

// DetectCloud returns the cloud that the machine of a tree runs in, or "". It
// asks the machine's firmware, and no network.
func DetectCloud(t *tree.Tree) string {
	dmi := func(name string) string {
		text, err := t.Read("/sys/class/dmi/id/"+name, 4096)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(text))
	}
	vendor, product, tag := dmi("sys_vendor"), dmi("product_name"), dmi("chassis_asset_tag")
	switch {
	case vendor == "Amazon EC2" || strings.HasSuffix(dmi("bios_version"), ".amazon") || dmi("bios_vendor") == "Amazon EC2":
		return "aws"
	case product == "Google Compute Engine" || vendor == "Google":
		return "gcp"
	case tag == "7783-7084-3265-9085-8269-3286-77":
		return "azure"
	case tag == "OracleCloud.com":
		return "oracle"
	case strings.HasPrefix(dmi("chassis_vendor"), "IBM:Cloud Compute Server") || strings.HasPrefix(vendor, "IBM:Cloud Compute Server"):
		return "ibm"
	}
	return ""
}

// FindBinaries returns the directory that has the plugins: one that was given,
// that of the tool, or that of the packages.
func FindBinaries(from, executable string) (string, error) {
	if from != "" {
		return filepath.Abs(from)
	}
	beside := filepath.Dir(executable)
	for _, dir := range []string{beside, packageDir} {
		for _, plugin := range Plugins() {
			if _, err := os.Stat(filepath.Join(dir, plugin.Name)); err == nil {
				return dir, nil
			}
		}
	}
	return "", fmt.Errorf("no plugin in %s, beside regcred, nor in %s: give --from", beside, packageDir)
}

// packageDir is where the packages for distributions have the plugins.
const packageDir = "/usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec"
