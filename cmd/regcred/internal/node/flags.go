package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// flagValues are the flags of a kubelet that matter here. A flag that is given
// several times has its last value.
type flagValues map[string]string

// isSwitch are the flags that take no value in the next argument.
func isSwitch(name string) bool {
	switch name {
	case "serialize-image-pulls", "anonymous-auth", "authentication-token-webhook":
		return true
	}
	return false
}

// isFlag reports whether a flag matters here.
func isFlag(name string) bool {
	return isSwitch(name) || slices.Contains([]string{
		"image-credential-provider-config", "image-credential-provider-bin-dir",
		"kubeconfig", "root-dir", "config", "config-dir", "hostname-override",
		"container-runtime-endpoint", "image-service-endpoint", "feature-gates",
		"read-only-port", "port", "address", "client-ca-file", "tls-cert-file", "pod-manifest-path",
		"registry-qps", "registry-burst",
	}, name)
}

// parseFlags takes the flags that matter from a command line, as the kubelet
// reads it: with a value behind = or in the next argument, and with
// underscores for hyphens.
func parseFlags(args []string) flagValues {
	values := flagValues{}
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		text, ok := strings.CutPrefix(args[i], "--")
		if !ok {
			continue
		}
		name, value, assigned := strings.Cut(text, "=")
		name = strings.ReplaceAll(name, "_", "-")
		switch {
		case !isFlag(name):
			continue
		case assigned:
		case isSwitch(name):
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		}
		if name == "feature-gates" && values[name] != "" {
			value = values[name] + "," + value // which adds up
		}
		values[name] = value
	}
	return values
}

// kubeletFlags are the flags of the kubelet in the process.
func (n *Node) kubeletFlags() flagValues {
	command := n.Process.Command
	switch n.Process.Program {
	case "k3s":
		return n.k3s(command[1:])
	case "kubelite":
		return n.kubelite(command[1:])
	case "microshift":
		return n.microshift()
	}
	if filepath.Base(command[0]) == "hyperkube" {
		command = command[1:]
	}
	return parseFlags(command[1:])
}

// environment looks a variable of the kubelet's up.
func (n *Node) environment(name string) string {
	value := ""
	for _, variable := range n.Env {
		if v, ok := strings.CutPrefix(variable, name+"="); ok {
			value = v
		}
	}
	return value
}

// k3s makes the flags that k3s gives the kubelet in it, from its own. k3s hides
// its command line, so that its configuration file is what there is.
func (n *Node) k3s(args []string) flagValues {
	var o k3sOptions
	config := "/etc/rancher/k3s/config.yaml"
	if named := n.environment("K3S_CONFIG_FILE"); named != "" {
		config = named
	}
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--config="); ok {
			config = value
		} else if (arg == "--config" || arg == "-c") && i+1 < len(args) {
			config = args[i+1]
		}
	}
	o.readFile(n, config)
	dropIns, _ := filepath.Glob(within(n.base, config+".d") + "/*.yaml")
	slices.Sort(dropIns)
	for _, dropIn := range dropIns {
		o.readFile(n, filepath.Join(config+".d", filepath.Base(dropIn)))
	}
	o.readArgs(args)

	dataDir := "/var/lib/rancher/k3s"
	if named := n.environment("K3S_DATA_DIR"); named != "" {
		dataDir = named
	}
	if o.one["data-dir"] != "" {
		dataDir = o.one["data-dir"]
	}
	values := flagValues{
		"kubeconfig":                 filepath.Join(dataDir, "agent/kubelet.kubeconfig"),
		"config-dir":                 filepath.Join(dataDir, "agent/etc/kubelet.conf.d"),
		"container-runtime-endpoint": "unix:///run/k3s/containerd/containerd.sock",
		"hostname-override":          o.one["node-name"],
	}
	if endpoint := o.one["container-runtime-endpoint"]; endpoint != "" {
		values["container-runtime-endpoint"] = "unix://" + strings.TrimPrefix(endpoint, "unix://")
	}
	if values["hostname-override"] == "" {
		values["hostname-override"] = n.environment("K3S_NODE_NAME")
	}
	// k3s uses them where both are there, and a directory for a configuration
	// is not.
	provider := o.get("image-credential-provider-config", "/var/lib/rancher/credentialprovider/config.yaml")
	bin := o.get("image-credential-provider-bin-dir", "/var/lib/rancher/credentialprovider/bin")
	file, fileErr := os.Stat(within(n.base, provider))
	dir, dirErr := os.Stat(within(n.base, bin))
	if fileErr == nil && !file.IsDir() && dirErr == nil && dir.IsDir() {
		values["image-credential-provider-config"], values["image-credential-provider-bin-dir"] = provider, bin
	} else {
		n.note("k3s uses credential providers only if %s is a file and %s a directory", provider, bin)
	}
	for name, value := range parseFlags(o.kubelet) {
		values[name] = value
	}
	return values
}

// k3sOptions are the options of k3s that matter here.
type k3sOptions struct {
	one     map[string]string
	kubelet []string // as --name=value
}

func (o *k3sOptions) get(name, fallback string) string {
	if value := o.one[name]; value != "" {
		return value
	}
	return fallback
}

func (o *k3sOptions) set(name, value string) {
	if o.one == nil {
		o.one = map[string]string{}
	}
	if name == "kubelet-arg" {
		o.kubelet = append(o.kubelet, "--"+strings.TrimLeft(value, "-"))
		return
	}
	o.one[name] = value
}

// readArgs reads a command line.
func (o *k3sOptions) readArgs(args []string) {
	for i := 0; i < len(args); i++ {
		name, value, assigned := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		switch name {
		case "d":
			name = "data-dir"
		case "kubelet-arg", "data-dir", "node-name", "container-runtime-endpoint",
			"image-credential-provider-config", "image-credential-provider-bin-dir":
		default:
			continue
		}
		if !strings.HasPrefix(args[i], "-") {
			continue
		}
		if !assigned && i+1 < len(args) {
			i++
			value = args[i]
		}
		o.set(name, value)
	}
}

// readFile reads a configuration file. Its lists take the place of those of
// the files before it, unless the key ends in +.
func (o *k3sOptions) readFile(n *Node, path string) {
	text, err := n.Read(path)
	if err != nil {
		if !isNotExist(err) {
			n.note("k3s's configuration cannot be read: %s", err)
		}
		return
	}
	var options map[string]any
	if err := yaml.Unmarshal(text, &options); err != nil {
		n.note("k3s's configuration cannot be read: %s is not YAML", path)
		return
	}
	for key, value := range options {
		name, added := strings.CutSuffix(key, "+")
		if name == "kubelet-arg" && !added {
			o.kubelet = nil
		}
		switch value := value.(type) {
		case string:
			o.set(name, value)
		case []any:
			for _, item := range value {
				if text, ok := item.(string); ok {
					o.set(name, text)
				}
			}
		}
	}
}

// kubelite makes the flags of the kubelet in MicroK8s' kubelite, which reads
// them from a file.
func (n *Node) kubelite(args []string) flagValues {
	path := ""
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--kubelet-args-file="); ok {
			path = value
		} else if arg == "--kubelet-args-file" && i+1 < len(args) {
			path = args[i+1]
		}
	}
	if path == "" {
		n.note("kubelite runs without --kubelet-args-file: the kubelet's flags are not known")
		return nil
	}
	text, err := n.Read(path)
	if err != nil {
		n.note("the kubelet's flags cannot be read: %s", err)
		return nil
	}
	data := filepath.Dir(filepath.Dir(path)) // /var/snap/microk8s/9072
	expand := func(name string) string {
		value := n.environment(name)
		switch {
		case value != "":
		case name == "SNAP_DATA":
			value = data
		case name == "SNAP_COMMON":
			value = filepath.Join(filepath.Dir(data), "common")
		}
		return value
	}
	var flags []string
	unquote := strings.NewReplacer(`"`, "", "'", "")
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			flags = append(flags, os.Expand(unquote.Replace(word), expand))
		}
	}
	return parseFlags(flags)
}

// microshift makes the flags of the kubelet in MicroShift.
func (n *Node) microshift() flagValues {
	values := flagValues{
		"kubeconfig": "/var/lib/microshift/resources/kubelet/kubeconfig",
		"config":     "/var/lib/microshift/resources/kubelet/config/config.yaml",
	}
	const path = "/etc/microshift/config.yaml"
	text, err := n.Read(path)
	if err != nil {
		if !isNotExist(err) {
			n.note("MicroShift's configuration cannot be read: %s", err)
		}
		return values
	}
	var config struct {
		Node struct {
			HostnameOverride string `json:"hostnameOverride"`
		} `json:"node"`
		Kubelet struct {
			Config string `json:"imageCredentialProviderConfigPath"`
			BinDir string `json:"imageCredentialProviderBinDir"`
		} `json:"kubelet"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		n.note("MicroShift's configuration cannot be read: %s is not what it should be", path)
		return values
	}
	values["hostname-override"] = config.Node.HostnameOverride
	values["image-credential-provider-config"] = config.Kubelet.Config
	values["image-credential-provider-bin-dir"] = config.Kubelet.BinDir
	return values
}
