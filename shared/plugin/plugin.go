// Package plugin is what a plugin is: its name, its guide, and settings that
// make a cloud.
package plugin

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/settings"
)

// Plugin describes the plugin of one cloud.
type Plugin struct {
	// Name is the name of the executable, without ".exe".
	Name string

	// Guide is what --help prints above the flags: what the plugin does and
	// a kubelet configuration that works.
	Guide string

	// Kind is the configuration file's kind.
	Kind string

	// GoFlags means that one hyphen before a word is as good as two: the vendor's
	// plugin takes its flags as Go's own package does.
	GoFlags bool

	// Defaults changes defaults of the settings that every plugin has. Nil
	// changes none.
	Defaults func(*settings.Common)

	// New returns settings with the plugin's own defaults. It is called
	// more than once.
	New func() Settings
}

// Settings are one plugin's: a struct that embeds settings.Common and adds its
// own.
type Settings interface {
	Shared() *settings.Common

	// Flags defines a flag for every setting, with what the fields hold as
	// defaults. A plugin's own calls Common's.
	Flags(*pflag.FlagSet)

	// Provider compiles the settings into the cloud that they describe, once a
	// run. It reads further files of the operator's where the settings name
	// some, and asks nobody. It finds what the types allow and the meaning does
	// not; its error begins with the path of the field. Common's fields are
	// checked before.
	Provider(Run) (credential.Provider, error)
}

// Run is what a run of a plugin brings besides its settings.
type Run struct {
	// Args are the arguments that are no flags. Vendors' configurations pass
	// some that say nothing.
	Args []string

	// Getenv looks up environment variables that are no settings.
	Getenv func(string) string
}

// Invocation is what a command line asks for besides the settings.
type Invocation struct {
	Help bool
	// Version is "", "text" or "json".
	Version string
	// Explain is "", "text" or "json".
	Explain string
	// Check asks what came of an answer, and not for the answer.
	Check bool
	// ConfigFile is where settings were read from, or empty.
	ConfigFile string

	// Args are the arguments that are no flags.
	Args []string
}

// Cloud is a provider with the settings that every plugin has.
type Cloud struct {
	credential.Provider
	Common *settings.Common
}

// Load reads the settings and compiles them: a flag wins over an environment
// variable, that over the configuration file, and that over the default. An
// empty environment variable counts as not set. The Cloud is nil where help or
// the version is asked for.
func (p Plugin) Load(args []string, getenv func(string) string) (*Cloud, Invocation, error) {
	loaded, invocation, err := p.Read(args, getenv)
	if err != nil || loaded == nil {
		return nil, invocation, err
	}
	common := loaded.Shared()
	if err := common.Compile(); err != nil {
		return nil, invocation, fmt.Errorf("settings: %w", err)
	}
	provider, err := loaded.Provider(Run{Args: invocation.Args, Getenv: getenv})
	if err != nil {
		return nil, invocation, fmt.Errorf("settings: %w", err)
	}
	return &Cloud{provider, common}, invocation, nil
}

// Read returns the settings as they were given, or nil where there is nothing
// to do with them.
func (p Plugin) Read(args []string, getenv func(string) string) (Settings, Invocation, error) {
	loaded := p.defaults(getenv)
	invocation, err := p.parse(loaded, args, getenv)
	if err != nil || invocation.Help || invocation.Version != "" {
		return nil, invocation, err
	}
	if invocation.ConfigFile == "" {
		return loaded, invocation, nil
	}
	// Flags and environment name the file and also win over it: they are
	// parsed once more, on top of what the file says.
	loaded = p.defaults(getenv)
	if err := settings.DecodeFile(invocation.ConfigFile, p.Kind, loaded); err != nil {
		return nil, invocation, err
	}
	_, err = p.parse(loaded, args, getenv)
	return loaded, invocation, err
}

// defaults returns the plugin's settings with the common defaults.
func (p Plugin) defaults(getenv func(string) string) Settings {
	fresh := p.New()
	fresh.Shared().SetDefaults(getenv)
	if p.Defaults != nil {
		p.Defaults(fresh.Shared())
	}
	return fresh
}

// parse applies the environment and the command line to settings.
func (p Plugin) parse(s Settings, args []string, getenv func(string) string) (Invocation, error) {
	var invocation Invocation
	if p.GoFlags {
		args = withTwoHyphens(args)
	}
	if err := checkSwitches(args); err != nil {
		return Invocation{}, fmt.Errorf("command line: %w", err)
	}
	fs := p.flags(s, &invocation)
	if err := fs.Parse(args); err != nil {
		return Invocation{}, fmt.Errorf("command line: %w (see --help)", err)
	}
	invocation.Args = fs.Args()
	if err := checkForm("version", invocation.Version); err != nil {
		return Invocation{}, err
	}
	if err := checkForm("explain", invocation.Explain); err != nil {
		return Invocation{}, err
	}
	return invocation, settings.ApplyEnvironment(fs, getenv)
}

// checkForm refuses a form in which nothing is printed.
func checkForm(flag, form string) error {
	if form != "" && form != "text" && form != "json" {
		return fmt.Errorf("command line: --%s=%.40s: want text or json", flag, form)
	}
	return nil
}

// withTwoHyphens returns arguments with another hyphen before those that have one
// and more than a letter.
func withTwoHyphens(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		if arg == "--" {
			break
		}
		if len(name) > 2 && name[0] == '-' && name[1] != '-' {
			args[i] = "-" + arg
		}
	}
	return args
}

// checkSwitches refuses "--node-fallback NAMESPACE": the flag stands by itself
// too, so that this would let every namespace have what was meant for one.
func checkSwitches(args []string) error {
	for i, arg := range args[:max(0, len(args)-1)] {
		value := args[i+1]
		var fallback credential.NodeFallback
		if strings.ReplaceAll(arg, "_", "-") == "--node-fallback" && value != vendorCommand && fallback.Set(value) == nil {
			return fmt.Errorf("--node-fallback %s: write --node-fallback=%s", value, value)
		}
	}
	return nil
}

// vendorCommand is an argument that configurations of vendors' plugins have.
const vendorCommand = "get-credentials"

// flags returns the flags of the settings and of the invocation.
func (p Plugin) flags(s Settings, invocation *Invocation) *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	s.Flags(fs)
	s.Shared().KlogFlags(fs)
	fs.StringVar(&invocation.ConfigFile, "config", "", "configuration `file`, read at every run")
	fs.BoolVarP(&invocation.Help, "help", "h", false, "print this help")
	fs.StringVar(&invocation.Version, "version", "", "print the version, as `text|json`")
	fs.Lookup("version").NoOptDefVal = "text"
	fs.StringVar(&invocation.Explain, "explain", "", "print, as `json|text`, who would be asked for what and as whom, and what the cache holds, and ask nobody")
	fs.Lookup("explain").NoOptDefVal = "json"
	fs.BoolVar(&invocation.Check, "check", false, "instead of answering, ask the cloud past the cache and print as JSON what came of it, without the credential; without a request on stdin: for the node's identity")
	return fs
}

// Usage describes the flags, their defaults and their environment variables.
func (p Plugin) Usage(getenv func(string) string) string {
	return settings.Usage(p.flags(p.defaults(getenv), new(Invocation)))
}
