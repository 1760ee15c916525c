// Package settings is what an operator can tell a plugin, and how: command
// line flags, environment variables and a configuration file that say the same
// things.
package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"regcred/shared/image"
	"regcred/shared/serviceaccount"
)

// Common holds the settings that every plugin has. A plugin embeds it in its
// own settings.
type Common struct {
	// APIVersion and Kind say what a configuration file is. Flags and
	// environment have no part in them.
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`

	// CacheDir is the folder of the credential cache. Empty turns the cache
	// off: every request asks the cloud.
	CacheDir string `json:"cacheDir,omitempty"`

	// MaxKubeletCache caps the time for which the kubelet is told to keep an
	// answer. Zero tells it to keep none.
	MaxKubeletCache Duration `json:"maxKubeletCache,omitempty"`

	// Aliases maps a registry that is not the cloud's own (a mirror, a vanity
	// name), as host or host:port, to the registry whose credential to use
	// for it. Hosts are compared whole.
	Aliases map[string]string `json:"aliases,omitempty"`

	// IdentityScope is how much of a pod's identity keeps its credentials
	// apart from others.
	IdentityScope serviceaccount.Scope `json:"identityScope,omitempty"`

	// NodeFallback answers a pod that has no identity of its own for a
	// registry with the node's credential. False refuses it. A pod whose own
	// identity is refused by the cloud is refused either way.
	NodeFallback bool `json:"nodeFallback,omitempty"`

	// CAFile names a PEM bundle of certificate authorities to trust for the
	// cloud's APIs besides the system's. Empty adds none.
	CAFile string `json:"caFile,omitempty"`

	// LogLevel is the least severe level that is logged: debug, info, warn
	// or error.
	LogLevel string `json:"logLevel,omitempty"`

	// verbosity is klog's --v, which vendors' kubelet configurations pass.
	verbosity int

	// LogFile names a file to append the log to, besides stderr. Empty
	// writes none.
	LogFile string `json:"logFile,omitempty"`

	// LogJournald sends the log to the systemd journal, besides stderr: the
	// kubelet drops the stderr of a plugin that succeeds.
	LogJournald bool `json:"logJournald,omitempty"`
}

// Shared returns the settings that every plugin has.
func (c *Common) Shared() *Common { return c }

// Complete ignores the arguments.
func (c *Common) Complete([]string, func(string) string) error { return nil }

// PerImage says that an answer holds for every image of its registry.
func (c *Common) PerImage() bool { return false }

// Anonymous says that a refused credential is the end of a pull.
func (c *Common) Anonymous(image.Registry) string { return "" }

// Flags defines the flags of the settings that every plugin has; what the
// fields hold already is their default.
func (c *Common) Flags(fs *pflag.FlagSet) {
	fs.StringVar(&c.CacheDir, "cache-dir", c.CacheDir, "`folder` of the credential cache; empty turns it off")
	fs.Var(&c.MaxKubeletCache, "max-kubelet-cache", "longest `duration` for which the kubelet may keep an answer; 0s: none")
	fs.StringToStringVar(&c.Aliases, "alias", c.Aliases, "answer for `HOST[:PORT]=REGISTRY`, a mirror or vanity name, with REGISTRY's credential; repeatable")
	fs.StringVar((*string)(&c.IdentityScope), "identity-scope", string(c.IdentityScope), "`what` keeps pods' credentials apart: serviceaccount, or pod (with the kubelet's cacheType Token)")
	fs.BoolVar(&c.NodeFallback, "node-fallback", c.NodeFallback, "answer a pod that has no identity of its own with the node's credential")
	fs.StringVar(&c.CAFile, "ca-file", c.CAFile, "PEM `file` of certificate authorities to trust besides the system's")
	fs.StringVar(&c.LogLevel, "log-level", c.LogLevel, "least severe `level` to log: debug, info, warn or error")
	fs.StringVar(&c.LogFile, "log-file", c.LogFile, "`file` to append the log to, besides stderr")
	fs.BoolVar(&c.LogJournald, "log-journald", c.LogJournald, "send the log to the systemd journal, besides stderr")
}

// validate finds what the types allow and the meaning does not.
func (c *Common) validate() error {
	if c.CacheDir != "" && !filepath.IsAbs(c.CacheDir) {
		return fmt.Errorf("cacheDir: %q is not an absolute path", c.CacheDir)
	}
	if c.MaxKubeletCache < 0 {
		return errors.New("maxKubeletCache: is negative")
	}
	switch c.IdentityScope {
	case serviceaccount.ScopeServiceAccount, serviceaccount.ScopePod:
	default:
		return fmt.Errorf("identityScope: %q is neither serviceaccount nor pod", c.IdentityScope)
	}
	if _, err := c.Level(); err != nil {
		return err
	}
	written := make(map[string]string, len(c.Aliases))
	for host, target := range c.Aliases {
		alias, err := image.ParseRegistry(host)
		if err != nil {
			return fmt.Errorf("aliases[%q]: %w", host, err)
		}
		if other, twice := written[alias.Canonical()]; twice {
			return fmt.Errorf("aliases: %q and %q are the same registry", min(host, other), max(host, other))
		}
		written[alias.Canonical()] = host
		if _, err := image.ParseRegistry(target); err != nil {
			return fmt.Errorf("aliases[%q]: %q %w", host, target, err)
		}
	}
	return nil
}

// Level returns the least severe level to log. klog's verbosity, where it was
// given, can only add to it: info from 1, debug from 4.
func (c *Common) Level() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return 0, fmt.Errorf("logLevel: %q is none of debug, info, warn, error", c.LogLevel)
	}
	switch {
	case c.verbosity >= 4:
		return min(level, slog.LevelDebug), nil
	case c.verbosity >= 1:
		return min(level, slog.LevelInfo), nil
	default:
		return level, nil
	}
}

// Registry returns the registry whose credential to use for one: itself,
// unless it has an alias.
func (c *Common) Registry(r image.Registry) (registry image.Registry, aliased bool) {
	for host, target := range c.Aliases {
		alias, err := image.ParseRegistry(host)
		if err != nil || alias.Canonical() != r.Canonical() {
			continue
		}
		if registry, err = image.ParseRegistry(target); err == nil {
			return registry, true
		}
	}
	return r, false
}

// Duration is a time.Duration that is written as "10m" in a file and on the
// command line.
type Duration time.Duration

// String returns the duration as time.Duration writes it.
func (d *Duration) String() string { return time.Duration(*d).String() }

// Type names the value in a flag's usage.
func (d *Duration) Type() string { return "duration" }

// Set parses a duration such as "90s".
func (d *Duration) Set(s string) error {
	parsed, err := time.ParseDuration(s)
	*d = Duration(parsed)
	return err
}

// UnmarshalText parses a duration such as "90s".
func (d *Duration) UnmarshalText(text []byte) error { return d.Set(string(text)) }

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
