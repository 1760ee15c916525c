// Package wire is what a test and the lookup program say to each other.
//
// The program reads one Start from its standard input and answers with one
// Started; then, for as long as its input is open, it reads a Round and answers
// with a RoundDone. Everything is JSON, one value after the other.
package wire

import "time"

// Start configures kubelet as its two flags do, and holds the part of the
// cluster that kubelet would ask the API server about.
type Start struct {
	// Config is the value of --image-credential-provider-config.
	Config string
	// BinDir is the value of --image-credential-provider-bin-dir.
	BinDir string
	// ServiceAccounts are the ones that exist in the cluster.
	ServiceAccounts []ServiceAccount
}

// ServiceAccount is one service account of the cluster.
type ServiceAccount struct {
	Namespace   string
	Name        string
	UID         string
	Annotations map[string]string
}

// Started tells whether kubelet would have started.
type Started struct {
	// Error is why kubelet would have exited; empty when it would have run.
	Error string
}

// Round is a number of lookups that begin at the same time, which is what pods
// that are bound to a node together do.
type Round struct {
	Lookups []Lookup
}

// Lookup is an image that kubelet is about to pull for a pod.
type Lookup struct {
	// Image is the image as the pod's author wrote it.
	Image string
	Pod   Pod
	// RootDir is for a lookup in docker configurations of the node, in place of
	// plugins: the value of --root-dir. Empty asks the plugins.
	RootDir string
}

// Pod is what kubelet knows of a pod, and what the cluster would give it.
type Pod struct {
	Namespace string
	Name      string
	UID       string
	// ServiceAccount is empty for a static pod.
	ServiceAccount string
	// Tokens are what the API server answers a token request that is bound to
	// the pod, by audience. It refuses any other audience.
	Tokens map[string]string
}

// RoundDone is what a round came to.
type RoundDone struct {
	// Answers are in the order of the round's lookups.
	Answers []Answer
	// Log holds what kubelet logged since the last answer, one entry an element.
	Log []string
	// PluginErrors is kubelet_credential_provider_plugin_errors_total by plugin
	// name, counted since the start. A plugin without an error is not in it.
	PluginErrors map[string]int
	// PluginRuns is the number of observations in
	// kubelet_credential_provider_plugin_duration by plugin name, counted since
	// the start: how often kubelet ran the plugin.
	PluginRuns map[string]int
}

// Answer is kubelet's answer to one lookup.
type Answer struct {
	// Image is the lookup's.
	Image string
	// Error is set when the image's name could not be parsed, so nothing was
	// looked up.
	Error string
	// Found and Credentials are what kubelet's keyring returned. Not found means
	// that kubelet pulls anonymously.
	Found       bool
	Credentials []Credential
	Elapsed     time.Duration
}

// Credential is one user name and password kubelet would try.
type Credential struct {
	Username string
	Password string
	// ServiceAccount is "namespace/name" when kubelet ties the credential to the
	// pod's service account, and empty when it is the node's.
	ServiceAccount string
}
