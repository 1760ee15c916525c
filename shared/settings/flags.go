package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

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

// hasVariables reports whether a flag is a setting: what asks for something else
// than an answer, or only placates a vendor's configuration, is not.
func hasVariables(flag *pflag.Flag) bool {
	return !flag.Hidden && !slices.Contains([]string{"help", "version", "explain", "check"}, flag.Name)
}

// variables returns the environment variables that set a flag, the first one
// set wins.
func variables(flag *pflag.Flag) []string {
	own := "REGCRED_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
	return append([]string{own}, flag.Annotations[envAnnotation]...)
}

// ApplyEnvironment sets the flags that the command line did not, and a variable
// does.
func ApplyEnvironment(fs *pflag.FlagSet, getenv func(string) string) error {
	var err error
	fs.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || !hasVariables(flag) || err != nil {
			return
		}
		for _, name := range variables(flag) {
			if value := getenv(name); value != "" {
				if err = flag.Value.Set(value); err != nil {
					err = fmt.Errorf("environment variable %s: %w", name, err)
				}
				return
			}
		}
	})
	return err
}

// Usage describes flags, their defaults and their environment variables.
func Usage(fs *pflag.FlagSet) string {
	fs.VisitAll(func(flag *pflag.Flag) {
		// A default that says nothing is left out; pflag does so for lists.
		if flag.DefValue == "none" || flag.DefValue == "[]" && flag.Value.Type() == "stringToString" {
			flag.DefValue = ""
		}
		if hasVariables(flag) {
			flag.Usage += " [$" + strings.Join(variables(flag), ", $") + "]"
		}
	})
	// Nobody asks for no help.
	const help = "--help[=true|false]"
	return strings.Replace(fs.FlagUsagesWrapped(100), help, "--help"+strings.Repeat(" ", len(help)-len("--help")), 1)
}
