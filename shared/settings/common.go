// Package settings is what an operator can tell a plugin, and how: command
// line flags, environment variables and a configuration file that say the same
// things.
package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
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

	// CacheDir is the directory of the credential cache. Empty turns the cache
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

	// NodeFallback says which pods that name no identity are answered with the
	// node's credential: none, all, or those of some namespaces. Others are
	// refused, and so is a pod whose own identity the cloud refuses, whatever
	// this says.
	NodeFallback credential.NodeFallback `json:"nodeFallback"`

	// CAFile names a PEM bundle of certificate authorities to trust for the
	// cloud's APIs besides the system's. Empty adds none.
	CAFile string `json:"caFile,omitempty"`

	// LogLevel is the least severe level that is logged: debug, info, warn
	// or error.
	LogLevel string `json:"logLevel,omitempty"`

	// LogFile names a file to append the log to, besides stderr. Empty
	// writes none.
	LogFile string `json:"logFile,omitempty"`

	// LogJournald sends the log to the systemd journal too: the kubelet drops
	// the stderr of a plugin that succeeds. Auto does so where there is a
	// journal and nobody sits at a terminal.
	LogJournald Toggle `json:"logJournald,omitempty"`

	// verbosity is klog's --v, which vendors' kubelet configurations pass.
	verbosity int

	// What Compile has made of the above.
	level   slog.Level
	aliases map[string]image.Registry // by the canonical form of the alias
}

// Shared returns the settings that every plugin has.
func (c *Common) Shared() *Common { return c }

// SetDefaults sets what holds where nothing is said.
func (c *Common) SetDefaults(getenv func(string) string) {
	c.CacheDir = defaultCacheDir(getenv)
	c.MaxKubeletCache = Duration(10 * time.Minute)
	c.IdentityScope = serviceaccount.ScopeServiceAccount
	c.NodeFallback = credential.FallbackTo(credential.SystemNamespace)
	c.LogLevel = "warn"
	c.LogJournald = Auto
}

// Flags defines the flags of the settings that every plugin has; what the
// fields hold already is their default.
func (c *Common) Flags(fs *pflag.FlagSet) {
	fs.StringVar(&c.CacheDir, "cache-dir", c.CacheDir, "`directory` of the credential cache; empty turns it off")
	fs.Var(&c.MaxKubeletCache, "max-kubelet-cache", "longest `duration` for which the kubelet may keep an answer; 0s: none")
	fs.StringToStringVar(&c.Aliases, "alias", c.Aliases, "`HOST[:PORT]=REGISTRY`: answer for HOST, a mirror or vanity name, with REGISTRY's credential; repeatable")
	fs.StringVar((*string)(&c.IdentityScope), "identity-scope", string(c.IdentityScope), "`what` keeps pods' credentials apart: serviceaccount, or pod (with the kubelet's cacheType Token)")
	fs.Var(&c.NodeFallback, "node-fallback", "`which` pods that name no identity are answered with the node's credential: none, all, or those of the namespaces in this list, separated by commas")
	fs.Lookup("node-fallback").NoOptDefVal = "all" // what the clouds' own plugins do
	fs.StringVar(&c.CAFile, "ca-file", c.CAFile, "PEM `file` of certificate authorities to trust besides the system's")
	fs.StringVar(&c.LogLevel, "log-level", c.LogLevel, "least severe `level` to log: debug, info, warn or error")
	fs.StringVar(&c.LogFile, "log-file", c.LogFile, "`file` to append the log to, besides stderr")
	fs.Var(&c.LogJournald, "log-journald", "send the log to the systemd journal too; auto: where there is one")
	fs.Lookup("log-journald").NoOptDefVal = string(On)
}

// Compile finds what the types allow and the meaning does not, and prepares what
// a run asks for.
func (c *Common) Compile() error {
	if c.CacheDir != "" && !filepath.IsAbs(c.CacheDir) {
		return fmt.Errorf("cacheDir: not an absolute path: %q", c.CacheDir)
	}
	if c.LogFile != "" && !filepath.IsAbs(c.LogFile) {
		return fmt.Errorf("logFile: not an absolute path: %q", c.LogFile)
	}
	if c.MaxKubeletCache < 0 {
		return errors.New("maxKubeletCache: negative")
	}
	switch c.IdentityScope {
	case serviceaccount.ScopeServiceAccount, serviceaccount.ScopePod:
	default:
		return fmt.Errorf("identityScope: %q is neither serviceaccount nor pod", c.IdentityScope)
	}
	if err := c.compileLevel(); err != nil {
		return err
	}
	return c.compileAliases()
}

// compileLevel reads the least severe level to log. klog's verbosity, where it
// was given, can only add to it: info from 1, debug from 4.
func (c *Common) compileLevel() error {
	if err := c.level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return fmt.Errorf("logLevel: %q is none of debug, info, warn, error", c.LogLevel)
	}
	switch {
	case c.verbosity >= 4:
		c.level = min(c.level, slog.LevelDebug)
	case c.verbosity >= 1:
		c.level = min(c.level, slog.LevelInfo)
	}
	return nil
}

func (c *Common) compileAliases() error {
	c.aliases = make(map[string]image.Registry, len(c.Aliases))
	for _, host := range slices.Sorted(maps.Keys(c.Aliases)) {
		alias, err := image.ParseRegistry(host)
		if err != nil {
			return fmt.Errorf("aliases[%q]: %w", host, err)
		}
		if _, twice := c.aliases[alias.Canonical()]; twice {
			return fmt.Errorf("aliases: %q is there twice, in another spelling", host)
		}
		target, err := image.ParseRegistry(c.Aliases[host])
		if err != nil {
			return fmt.Errorf("aliases[%q]: %q: %w", host, c.Aliases[host], err)
		}
		c.aliases[alias.Canonical()] = target
	}
	return nil
}

// Level is the least severe level to log.
func (c *Common) Level() slog.Level { return c.level }

// Registry returns the registry whose credential to use for one: itself,
// unless it has an alias.
func (c *Common) Registry(r image.Registry) (registry image.Registry, aliased bool) {
	if target, found := c.aliases[r.Canonical()]; found {
		return target, true
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
	if err != nil {
		return fmt.Errorf("%.40q is not a duration such as 10m or 90s", s)
	}
	*d = Duration(parsed)
	return nil
}

// UnmarshalText parses a duration such as "90s".
func (d *Duration) UnmarshalText(text []byte) error { return d.Set(string(text)) }

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
