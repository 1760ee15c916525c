package doctor

import (
	"fmt"
	"strconv"
	"strings"

	"regcred/shared/kubelet"
)

// checkKubelet tells which kubelet was found. One that does not start because of
// its providers is the worst that can be wrong with them.
func checkKubelet(s *subject, r *recorder) {
	n := s.Node
	given := n.ProviderConfig != "" || n.BinDir != ""
	switch {
	case n.Process != nil:
		message := "the kubelet runs (" + n.Process.String() + ")"
		if version, err := s.version(); err == nil {
			message = "the kubelet " + version + " runs (" + n.Process.String() + ")"
		}
		r.ok("", message, "configuration of credential providers: "+orNone(n.ProviderConfig), "their programs: "+orNone(n.BinDir))
	case given:
		r.skip("", strings.Join(append([]string{"no kubelet runs here: what is given is looked at"}, n.Notes...), "; "))
	default:
		fix := "journalctl -u kubelet -n 50   # a kubelet that does not accept its configuration of providers exits at its start\nregcred doctor --config FILE --bin-dir DIR   # to look at files without a kubelet"
		if place, ok := n.Known(); ok {
			fix = fmt.Sprintf("journalctl -u kubelet -n 50   # a kubelet that does not accept its configuration of providers exits at its start\nregcred doctor --config %s --bin-dir %s   # the files of %s", place.Config, place.BinDir, place.Platform)
		}
		r.find("kubelet-missing", "", "no kubelet runs here", fix, n.Notes...)
	}
	if n.Process == nil {
		return
	}
	for _, note := range n.Notes {
		if strings.Contains(note, "cannot be read") {
			r.find("kubelet-unreadable", "", note, "sudo regcred doctor")
		} else {
			r.find("kubelet-note", "", note, "")
		}
	}
	switch {
	case n.ProviderConfig == "" && n.BinDir == "":
		r.find("providers-off", "", "the kubelet runs without --image-credential-provider-config: private images are pulled with pull secrets or a docker configuration alone",
			"start the kubelet with --image-credential-provider-config FILE and --image-credential-provider-bin-dir DIR; they are flags, and in no configuration file\nregcred config print --help   # prints a configuration that works")
	case n.ProviderConfig == "" || n.BinDir == "":
		missing := "--image-credential-provider-bin-dir"
		if n.ProviderConfig == "" {
			missing = "--image-credential-provider-config"
		}
		r.find("flag-missing", "", "the kubelet has one of its two flags for credential providers: with "+missing+" missing it does not start again", "give it "+missing+", too")
	}
}

// unit is the service that the kubelet runs in.
func (s *subject) unit() string {
	if s.Node.Process == nil {
		return "kubelet"
	}
	switch s.Node.Process.Program {
	case "k3s":
		if len(s.Node.Process.Command) > 1 && s.Node.Process.Command[1] == "agent" {
			return "k3s-agent"
		}
		return "k3s"
	case "kubelite":
		return "snap.microk8s.daemon-kubelite"
	default:
		return s.Node.Process.Program
	}
}

// restart is the command that starts the kubelet again, and journalctl the one
// that shows its log.
func (s *subject) restart() string    { return "systemctl restart " + s.unit() }
func (s *subject) journalctl() string { return "journalctl -u " + s.unit() }

func orNone(path string) string {
	if path == "" {
		return "none"
	}
	return path
}

// checkVersions holds the configuration against what releases of the kubelet
// know.
func checkVersions(s *subject, r *recorder) {
	config := s.config()
	if config == nil {
		r.skip("", s.why())
		return
	}
	text, err := s.version()
	if err != nil {
		r.skip("", err.Error())
		return
	}
	minor, ok := minorOf(text)
	if !ok {
		r.skip("", "the kubelet's version "+text+" is not understood")
		return
	}
	evidence := "the kubelet is " + text
	if minor < 26 {
		r.find("kubelet-too-old", "", "credential providers are for everybody from Kubernetes 1.26 on", "update the node", evidence)
	}
	if info := len(config.Files); info > 0 && config.Files[0].Path != config.Path && minor < 34 {
		r.find("directory-unknown", s.shown(config.Path), "a directory of configurations is read from Kubernetes 1.34 on", "give the kubelet one file: regcred config merge "+s.shown(config.Path), evidence)
	}
	gate, set := s.Node.Configuration.FeatureGates[tokenGate]
	for i := range config.Providers {
		s.checkTokenAttributes(r, &config.Providers[i], minor, gate, set, evidence)
	}
	if !r.troubled() {
		r.ok("", "the kubelet "+text+" knows what the configuration says")
	}
}

// tokenGate is the feature gate of tokenAttributes.
const tokenGate = "KubeletServiceAccountTokenForCredentialProviders"

func (s *subject) checkTokenAttributes(r *recorder, p *kubelet.Provider, minor int, gate, set bool, evidence string) {
	if p.TokenAttributes == nil {
		return
	}
	switch {
	case minor < 33:
		r.find("token-attributes-off", p.Name, "tokenAttributes are known from Kubernetes 1.33 on, and usable from 1.34 on", "update the node, or remove tokenAttributes", evidence)
	case minor == 33 && !gate:
		r.find("token-attributes-off", p.Name, "tokenAttributes are off in Kubernetes 1.33", "start the kubelet with --feature-gates="+tokenGate+"=true, or update the node to 1.34", evidence)
	case set && !gate:
		r.find("token-attributes-off", p.Name, "tokenAttributes are turned off by the feature gate "+tokenGate, "remove the gate from the kubelet's featureGates", evidence)
	case minor == 33 && p.TokenAttributes.CacheType != "":
		r.find("cache-type-unknown", p.Name, "cacheType is known, and required, from Kubernetes 1.34 on", "remove cacheType until the node is updated", evidence)
	}
}

// minorOf is the 37 of v1.37.2.
func minorOf(version string) (int, bool) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 2 || parts[0] != "1" {
		return 0, false
	}
	minor, err := strconv.Atoi(strings.TrimRight(parts[1], "+"))
	return minor, err == nil
}
