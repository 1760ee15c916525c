package node

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// Configuration is the part of a KubeletConfiguration that matters to images.
// What is not set has the kubelet's default.
type Configuration struct {
	ContainerRuntimeEndpoint string `json:"containerRuntimeEndpoint"`
	ImageServiceEndpoint     string `json:"imageServiceEndpoint"` // empty is ContainerRuntimeEndpoint

	// Verification is imagePullCredentialsVerificationPolicy, and Allowlist
	// what preloadedImagesVerificationAllowlist names.
	Verification string   `json:"imagePullCredentialsVerificationPolicy"`
	Allowlist    []string `json:"preloadedImagesVerificationAllowlist"`

	FeatureGates map[string]bool `json:"featureGates"`

	Address        string `json:"address"`
	Port           int    `json:"port"`
	ReadOnlyPort   int    `json:"readOnlyPort"` // zero is none
	TLSCertFile    string `json:"tlsCertFile"`
	StaticPodPath  string `json:"staticPodPath"`
	PodLogsDir     string `json:"podLogsDir"`
	Authentication struct {
		Anonymous struct {
			Enabled bool `json:"enabled"`
		} `json:"anonymous"`
		Webhook struct {
			Enabled *bool `json:"enabled"`
		} `json:"webhook"`
		X509 struct {
			ClientCAFile string `json:"clientCAFile"`
		} `json:"x509"`
	} `json:"authentication"`

	SerializeImagePulls   *bool  `json:"serializeImagePulls"` // never nil once read
	MaxParallelImagePulls *int   `json:"maxParallelImagePulls"`
	RegistryPullQPS       *int   `json:"registryPullQPS"`
	RegistryBurst         int    `json:"registryBurst"`
	ImageMaximumGCAge     string `json:"imageMaximumGCAge"`
}

// Verification policies.
const (
	NeverVerify                  = "NeverVerify"
	NeverVerifyPreloadedImages   = "NeverVerifyPreloadedImages"
	NeverVerifyAllowlistedImages = "NeverVerifyAllowlistedImages"
	AlwaysVerify                 = "AlwaysVerify"
)

// MetricsURLs are those of the kubelet's metrics: at its read-only port, if it
// has one, and at its own.
func (c *Configuration) MetricsURLs() []string {
	host := c.Address
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	var urls []string
	if c.ReadOnlyPort > 0 {
		urls = append(urls, "http://"+net.JoinHostPort(host, strconv.Itoa(c.ReadOnlyPort))+"/metrics")
	}
	if c.Port > 0 {
		urls = append(urls, "https://"+net.JoinHostPort(host, strconv.Itoa(c.Port))+"/metrics")
	}
	return urls
}

// configure reads the kubelet's configuration: its file, over it the drop-ins,
// over these the flags.
func (n *Node) configure(flags flagValues) error {
	merged := map[string]any{}
	if n.KubeletConfig != "" {
		document, err := n.readConfiguration(n.KubeletConfig)
		switch {
		case err == nil:
			merged = document
		case n.given.KubeletConfig != "":
			return err
		default:
			n.note("the kubelet's configuration cannot be read: %s", err)
		}
	}
	for _, path := range n.dropIns() {
		document, err := n.readConfiguration(path)
		if err != nil {
			n.note("the kubelet's configuration cannot be read: %s", err)
			continue
		}
		merged = merge(merged, document)
	}
	text, err := yaml.Marshal(merged)
	if err == nil {
		err = yaml.Unmarshal(text, &n.Configuration)
	}
	if err != nil {
		n.note("a field of the kubelet's configuration has another type than it should: %s", n.KubeletConfig)
	}
	n.Configuration.override(flags)
	n.Configuration.setDefaults(filepath.Dir(n.KubeletConfig))
	return nil
}

// readConfiguration reads a KubeletConfiguration.
func (n *Node) readConfiguration(path string) (map[string]any, error) {
	text, err := n.Read(path)
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: neither YAML nor JSON", path)
	}
	if kind := document["kind"]; kind != "KubeletConfiguration" {
		return nil, fmt.Errorf("%s: kind %v; want KubeletConfiguration", path, kind)
	}
	return document, nil
}

// dropIns are the files of the kubelet's --config-dir, in its order.
func (n *Node) dropIns() []string {
	if n.KubeletConfigDir == "" {
		return nil
	}
	var paths []string
	dir := n.Path(n.KubeletConfigDir)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && filepath.Ext(path) == ".conf" {
			paths = append(paths, filepath.Join(n.KubeletConfigDir, strings.TrimPrefix(path, dir)))
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		n.note("the kubelet's --config-dir cannot be read: %s", withoutPath(err))
	}
	return paths
}

// merge merges two documents as RFC 7396 says: null removes, and lists are not
// added up.
func merge(below, above map[string]any) map[string]any {
	result := maps.Clone(below)
	for key, value := range above {
		object, isObject := value.(map[string]any)
		switch under, _ := result[key].(map[string]any); {
		case value == nil:
			delete(result, key)
		case isObject:
			if under == nil {
				under = map[string]any{}
			}
			result[key] = merge(under, object)
		default:
			result[key] = value
		}
	}
	return result
}

// override applies flags, which win over files.
func (c *Configuration) override(flags flagValues) {
	for name, into := range map[string]*string{
		"container-runtime-endpoint": &c.ContainerRuntimeEndpoint,
		"image-service-endpoint":     &c.ImageServiceEndpoint,
		"address":                    &c.Address,
		"client-ca-file":             &c.Authentication.X509.ClientCAFile,
		"tls-cert-file":              &c.TLSCertFile,
		"pod-manifest-path":          &c.StaticPodPath,
	} {
		if value, ok := flags[name]; ok {
			*into = value
		}
	}
	for name, into := range map[string]*int{
		"port": &c.Port, "read-only-port": &c.ReadOnlyPort, "registry-burst": &c.RegistryBurst,
	} {
		if value, err := strconv.Atoi(flags[name]); err == nil {
			*into = value
		}
	}
	if value, err := strconv.Atoi(flags["registry-qps"]); err == nil {
		c.RegistryPullQPS = &value
	}
	if value, err := strconv.ParseBool(flags["serialize-image-pulls"]); err == nil {
		c.SerializeImagePulls = &value
	}
	if value, err := strconv.ParseBool(flags["anonymous-auth"]); err == nil {
		c.Authentication.Anonymous.Enabled = value
	}
	if value, err := strconv.ParseBool(flags["authentication-token-webhook"]); err == nil {
		c.Authentication.Webhook.Enabled = &value
	}
	for gate := range strings.SplitSeq(flags["feature-gates"], ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(gate), "=")
		if value, err := strconv.ParseBool(strings.TrimSpace(text)); err == nil {
			if c.FeatureGates == nil {
				c.FeatureGates = map[string]bool{}
			}
			c.FeatureGates[name] = value
		}
	}
}

// setDefaults sets what the kubelet defaults. Files that it names are relative
// to a directory.
func (c *Configuration) setDefaults(dir string) {
	for into, value := range map[*string]string{
		&c.ContainerRuntimeEndpoint: DefaultEndpoint,
		&c.Verification:             NeverVerifyPreloadedImages,
		&c.Address:                  "0.0.0.0",
		&c.PodLogsDir:               "/var/log/pods",
	} {
		if *into == "" {
			*into = value
		}
	}
	if c.Port == 0 {
		c.Port = 10250
	}
	if c.RegistryPullQPS == nil {
		c.RegistryPullQPS = new(5)
	}
	if c.RegistryBurst == 0 {
		c.RegistryBurst = 10
	}
	if c.SerializeImagePulls == nil {
		c.SerializeImagePulls = new(c.MaxParallelImagePulls == nil || *c.MaxParallelImagePulls < 2)
	}
	for _, path := range []*string{&c.Authentication.X509.ClientCAFile, &c.TLSCertFile, &c.StaticPodPath} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	slices.Sort(c.Allowlist)
}

// isNotExist is for errors that have lost their path on the way.
func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func withoutPath(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}
