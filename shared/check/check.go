// Package check is what a plugin reports that was started with --check: what
// came of an attempt to answer, made past the cache, without the credential.
package check

import "time"

// What a Report is, as JSON. A later version adds fields and changes none.
const (
	APIVersion = "regcred/v1"
	Kind       = "CredentialCheck"
)

// Report is what a plugin writes to stdout.
type Report struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// Plugin is the plugin's own name, which the kubelet may call otherwise, and
	// Version its release.
	Plugin  string `json:"plugin"`
	Version string `json:"version"`

	// CacheDir is the directory of the credential cache. Empty means that it is
	// off.
	CacheDir string `json:"cacheDir"`

	// Files are the files that the settings name.
	Files []File `json:"files,omitempty"`

	// Image is what was asked for. Empty means the node's identity by itself.
	Image string `json:"image,omitempty"`

	// Outcome is what came of it.
	Outcome Outcome `json:"outcome"`

	// Source says who was asked, as whom and for what, and Caller as whom the
	// cloud took the asker.
	Source string `json:"source,omitempty"`
	Caller string `json:"caller,omitempty"`

	// Expires is when what was obtained ends, by this machine's clock.
	Expires *time.Time `json:"expires,omitempty"`

	// Failure is why there is nothing.
	Failure *Failure `json:"failure,omitempty"`

	// Asked are those who were asked, in the order of their first answers.
	Asked []Asked `json:"asked,omitempty"`
}

// Outcome is what came of a check.
type Outcome string

// Outcomes.
const (
	// Obtained is a credential, or a token that proves the node's identity.
	Obtained Outcome = "obtained"

	// Anonymous means that the answer is to pull without a credential.
	Anonymous Outcome = "anonymous"

	// NotMine means that the registry is not one of the plugin's.
	NotMine Outcome = "notMine"

	// NoIdentity means that the plugin has no identity of the node to check.
	NoIdentity Outcome = "noIdentity"

	// Failed means that the attempt failed.
	Failed Outcome = "failed"
)

// File is a file that a setting names.
type File struct {
	Setting string `json:"setting"`
	Path    string `json:"path"`
}

// Failure is a credential.Failure's texts.
type Failure struct {
	Problem   string `json:"problem"`
	Advice    string `json:"advice,omitempty"`
	Evidence  string `json:"evidence,omitempty"`
	Permanent bool   `json:"permanent,omitempty"`
}

// Asked is a host that was asked, how often, and what came of the last time.
type Asked struct {
	Host  string `json:"host"`
	Times int    `json:"times"`

	// Metadata means that it is a metadata service, to which no proxy is used.
	Metadata bool `json:"metadata,omitempty"`

	// Status is zero if there was no answer, for the reason Error.
	Status int     `json:"status,omitempty"`
	Error  string  `json:"error,omitempty"`
	Took   float64 `json:"seconds"`

	// Date is what the time was where the answer is from, in whole seconds, and
	// Received what it was here.
	Date     *time.Time `json:"date,omitempty"`
	Received time.Time  `json:"received"`
}

// Skew is how far the clock of who answered is before this machine's. It is
// false where the answer did not say, and exact to the second and the time that
// the answer took.
func (a Asked) Skew() (skew time.Duration, ok bool) {
	if a.Date == nil {
		return 0, false
	}
	return a.Date.Sub(a.Received), true
}
