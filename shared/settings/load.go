package settings

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/image"
	"regcred/shared/serviceaccount"
)

// Settings are one plugin's: a struct that embeds Common and adds its own.
type Settings interface {
	Shared() *Common

	// Flags defines a flag for every setting, with what the fields hold as
	// defaults. A plugin's own calls Common's.
	Flags(*pflag.FlagSet)

	// Complete takes the arguments that are no flags, and fills in from other
	// files of the operator's what flags, environment and configuration file
	// leave open. Common's ignores the arguments: vendors' configurations pass
	// some that say nothing.
	Complete(args []string, getenv func(string) string) error

	// Validate finds what the types allow and the meaning does not; its
	// error begins with the path of the field. Common's fields are checked
	// before it is called.
	Validate() error

	// PerImage reports whether the kubelet may use an answer for its own image
	// alone, and not for every image of the registry. Common says no.
	PerImage() bool

	// Anonymous returns the pattern of registries for which the kubelet is to
	// go on without a credential where the answer for a registry is refused,
	// or empty if it is not to. Common says that it is not.
	Anonymous(image.Registry) string

	// Provider returns the cloud with these settings and this environment.
	// It does no I/O.
	Provider(getenv func(string) string) credential.Provider
}

// envAnnotation is the annotation of a flag that lists more environment
// variables for it than the one its name makes.
const envAnnotation = "regcred_env"

// Env lets environment variables besides REGCRED_NAME set a flag. The
// variables are those of the tool that the plugin stands in for.
func Env(fs *pflag.FlagSet, flag string, variables ...string) {
	if err := fs.SetAnnotation(flag, envAnnotation, variables); err != nil {
		panic(err) // a plugin named a flag that it does not define
	}
}

// hasVariables reports whether a flag is a setting: what asks for help, or only
// placates a vendor's configuration, is not.
func hasVariables(flag *pflag.Flag) bool {
	return !flag.Hidden && flag.Name != "help" && flag.Name != "version"
}

// variables returns the environment variables that set a flag, the first one
// set wins.
func variables(flag *pflag.Flag) []string {
	own := "REGCRED_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
	return append([]string{own}, flag.Annotations[envAnnotation]...)
}

// Invocation is what a command line asks for besides the settings.
type Invocation struct {
	Help bool
	// Version is "", "text" or "json".
	Version string
	// ConfigFile is where settings were read from, or empty.
	ConfigFile string

	// args are the arguments that are no flags.
	args []string
}

// Plugin describes the plugin of one cloud.
type Plugin struct {
	// Name is the name of the executable, without ".exe".
	Name string

	// Guide is what --help prints above the flags: what the plugin does and
	// a kubelet configuration that works.
	Guide string

	// Kind is the configuration file's kind.
	Kind string

	// New returns settings with the plugin's own defaults. It is called
	// more than once.
	New func() Settings
}

// Load reads the settings: a flag wins over an environment variable, that over
// the configuration file, and that over the default. An empty environment
// variable counts as not set.
func (p Plugin) Load(args []string, getenv func(string) string) (Settings, Invocation, error) {
	settings := p.defaults(getenv)
	invocation, err := p.parse(settings, args, getenv)
	if err != nil || invocation.Help || invocation.Version != "" {
		return nil, invocation, err
	}
	if invocation.ConfigFile != "" {
		// Flags and environment name the file and also win over it: they are
		// parsed once more, on top of what the file says.
		settings = p.defaults(getenv)
		if err := decodeFile(invocation.ConfigFile, p.Kind, settings); err != nil {
			return nil, invocation, err
		}
		if _, err := p.parse(settings, args, getenv); err != nil {
			return nil, invocation, err
		}
	}
	if err := settings.Complete(invocation.args, getenv); err != nil {
		return nil, invocation, err
	}
	if err := settings.Shared().validate(); err != nil {
		return nil, invocation, fmt.Errorf("settings: %w", err)
	}
	if err := settings.Validate(); err != nil {
		return nil, invocation, fmt.Errorf("settings: %w", err)
	}
	return settings, invocation, nil
}

// defaults returns the plugin's settings with the common defaults.
func (p Plugin) defaults(getenv func(string) string) Settings {
	settings := p.New()
	common := settings.Shared()
	common.CacheDir = defaultCacheDir(getenv)
	common.MaxKubeletCache = Duration(10 * time.Minute)
	common.IdentityScope = serviceaccount.ScopeServiceAccount
	common.LogLevel = "warn"
	return settings
}

// parse applies the environment and the command line to settings.
func (p Plugin) parse(settings Settings, args []string, getenv func(string) string) (Invocation, error) {
	var invocation Invocation
	fs := p.flags(settings, &invocation)
	if err := fs.Parse(args); err != nil {
		return Invocation{}, fmt.Errorf("command line: %w (see --help)", err)
	}
	invocation.args = fs.Args()
	if v := invocation.Version; v != "" && v != "text" && v != "json" {
		return Invocation{}, fmt.Errorf("command line: --version=%s: want text or json", v)
	}
	var err error
	fs.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || !hasVariables(flag) || err != nil {
			return
		}
		for _, name := range variables(flag) {
			if value := getenv(name); value != "" {
				if err = fs.Set(flag.Name, value); err != nil {
					err = fmt.Errorf("environment: %s: %w", name, err)
				}
				return
			}
		}
	})
	return invocation, err
}

// flags returns the flags of the settings and of the invocation.
func (p Plugin) flags(settings Settings, invocation *Invocation) *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	settings.Flags(fs)
	klogFlags(fs, &settings.Shared().verbosity)
	fs.StringVar(&invocation.ConfigFile, "config", "", "configuration `file`, read at every run")
	fs.BoolVarP(&invocation.Help, "help", "h", false, "print this help")
	fs.StringVar(&invocation.Version, "version", "", "print the version, as `text or json`")
	fs.Lookup("version").NoOptDefVal = "text"
	return fs
}

// Usage describes the flags, their defaults and their environment variables.
func (p Plugin) Usage(getenv func(string) string) string {
	fs := p.flags(p.defaults(getenv), new(Invocation))
	fs.VisitAll(func(flag *pflag.Flag) {
		if hasVariables(flag) {
			flag.Usage += " [$" + strings.Join(variables(flag), ", $") + "]"
		}
	})
	return fs.FlagUsagesWrapped(100)
}
