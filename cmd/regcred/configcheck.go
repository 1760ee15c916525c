package main

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/cmd/regcred/internal/term"
	"regcred/shared/file"
	"regcred/shared/kubelet"
	"regcred/shared/redact"
)

// validateFlags are what config validate is told.
type validateFlags struct {
	node    nodeFlags
	version string
	output  string
}

func (a *app) configValidate() *cobra.Command {
	var f validateFlags
	cmd := &cobra.Command{
		Use:   "validate [FILE|DIRECTORY|-]",
		Short: "Say all that is wrong with a configuration, and what to do about it",
		Long: `validate reads a configuration as the kubelet does, with its own types and decoder, and
says everything that is wrong with it: where it is, what it is and what to do. It also
says what the kubelet accepts and makes nothing of, such as a pattern that no image
matches.

Without an argument it is the configuration of this node's kubelet, and the programs
that it names are looked for too; with one they are if there is --bin-dir.

The exit code is 1 if the kubelet would not start with it.`,
		Example: `  regcred config validate
  regcred config validate --kubelet-version 1.33 credential-providers.yaml
  regcred config print aws | regcred config validate -`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return a.validateConfig(f, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.version, "kubelet-version", "", "what a kubelet of this `version` does not know is wrong, too: 1.33")
	flags.StringVarP(&f.output, "output", "o", "text", "`text|json`")
	f.node.add(flags)
	completeFlag(cmd, "output", "text", "json")
	return cmd
}

// validation is what is told of a configuration.
type validation struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Path       string           `json:"path"`
	Valid      bool             `json:"valid"`
	Hash       string           `json:"hash,omitempty"`
	Providers  []string         `json:"providers"`
	Problems   kubelet.Problems `json:"problems"`
}

func (a *app) validateConfig(f validateFlags, args []string) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	minor, err := kubeletMinor(f.version)
	if err != nil {
		return err
	}
	config, binDir, gates, err := a.theConfig(f, args)
	if err != nil {
		return err
	}
	problems := config.Problems
	if binDir != "" {
		problems = append(problems, config.CheckBinaries(binDir)...)
	}
	if minor > 0 {
		problems = append(problems, config.CheckVersion(minor, gates)...)
	}
	v := validation{
		APIVersion: reportVersion, Kind: "ConfigValidation", Path: config.Path, Valid: problems.Err() == nil, Hash: config.Hash,
		Providers: []string{}, Problems: slices.Concat(kubelet.Problems{}, problems),
	}
	for i := range config.Providers {
		v.Providers = append(v.Providers, redact.Line(config.Providers[i].Name))
	}
	if f.output == "json" {
		if err := printJSON(a.out, v); err != nil {
			return err
		}
	} else {
		v.text(a.out)
	}
	if !v.Valid {
		return exitCode(1)
	}
	return nil
}

// kubeletMinor reads a version such as 1.33 or v1.33.4. Zero is none.
func kubeletMinor(version string) (int, error) {
	if version == "" {
		return 0, nil
	}
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) >= 2 && parts[0] == "1" {
		if minor, err := strconv.Atoi(parts[1]); err == nil && minor >= 20 {
			return minor, nil
		}
	}
	return 0, usageError(fmt.Errorf("--kubelet-version %.40q: want a version from 1.20 on, such as 1.33", version))
}

// theConfig loads the configuration that is meant, and says where its programs
// are and which gates are set, if that is known.
func (a *app) theConfig(f validateFlags, args []string) (config *kubelet.Config, binDir string, gates map[string]bool, err error) {
	if len(args) == 1 {
		config, err := a.loadConfig(args[0])
		return config, f.node.options.BinDir, nil, err
	}
	n, err := f.node.find()
	if err != nil {
		return nil, "", nil, err
	}
	if n.ProviderConfig == "" {
		return nil, "", nil, n.NeedProviders()
	}
	// What is wrong with it is told by its problems.
	config, _ = kubelet.Load(n.Path(n.ProviderConfig))
	return config, n.Path(n.BinDir), n.Configuration.FeatureGates, nil
}

// maxStdin bounds a configuration from stdin.
const maxStdin = 16 << 20

// loadConfig loads a file, a directory, or stdin. What is wrong with it is in its
// problems.
func (a *app) loadConfig(path string) (*kubelet.Config, error) {
	if path != "-" {
		config, _ := kubelet.Load(path)
		return config, nil
	}
	text, err := file.ReadAll(a.stdin, maxStdin)
	if err != nil {
		return nil, fmt.Errorf("stdin: %w", err)
	}
	config, _ := kubelet.Parse("stdin", text)
	return config, nil
}

// text prints what is wrong, for people.
func (v validation) text(p *term.Printer) {
	for _, problem := range v.Problems {
		style := term.Red
		switch problem.Level {
		case kubelet.Info:
			style = term.Faint
		case kubelet.Warning:
			style = term.Yellow
		}
		p.Line(p.Styled(style, problem.Level.String()) + ": " + redact.Line(problem.String()) + p.Styled(term.Faint, " ["+problem.Code+"]"))
	}
	what := counted(len(v.Providers), "provider")
	if len(v.Providers) > 0 {
		what += " (" + strings.Join(v.Providers, ", ") + ")"
	}
	if !v.Valid {
		p.Line(p.Styled(term.Red, "the kubelet does not start with it: "+counted(len(v.Problems.At(kubelet.Error)), "error")))
		return
	}
	p.Line(p.Styled(term.Green, "the kubelet starts with it: "+what))
	if v.Hash != "" {
		p.Line("its metric kubelet_credential_provider_config_info says " + v.Hash)
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// mergeFlags are what config merge is told.
type mergeFlags struct {
	prefer string
	output string
}

func (a *app) configMerge() *cobra.Command {
	var f mergeFlags
	cmd := &cobra.Command{
		Use:   "merge FILE|DIRECTORY|-...",
		Short: "Make one configuration of several",
		Long: `merge prints one configuration with the providers of all: for a kubelet before 1.34, or
a platform that takes a file alone. Providers of whatever origin are kept with all their
fields, in their order; comments are not.

A name can be there once, since the kubelet refuses two. One that is there twice and the
same is written once. Where the two differ it is a conflict: the fields are named and
nothing is printed, unless --prefer says which one counts.`,
		Example: `  regcred config merge /etc/eks/image-credential-provider/config.json ours.yaml
  regcred config merge --prefer last base.yaml overlay.yaml`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return a.mergeConfigs(f, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.prefer, "prefer", "", "`first|last`: which provider of a name counts")
	flags.StringVarP(&f.output, "output", "o", "yaml", "`yaml|json`")
	completeFlag(cmd, "prefer", "first", "last")
	completeFlag(cmd, "output", "yaml", "json")
	return cmd
}

func (a *app) mergeConfigs(f mergeFlags, paths []string) error {
	if f.output != "yaml" && f.output != "json" {
		return usageError(fmt.Errorf("--output %q: want yaml or json", f.output))
	}
	if f.prefer != "" && f.prefer != "first" && f.prefer != "last" {
		return usageError(fmt.Errorf("--prefer %q: want first or last", f.prefer))
	}
	var configs []*kubelet.Config
	for _, path := range paths {
		config, err := a.loadConfig(path)
		if err != nil {
			return err
		}
		if err := config.Problems.Err(); err != nil {
			return err
		}
		configs = append(configs, config)
	}
	providers, conflicts := mergeProviders(configs, f.prefer == "last")
	for _, conflict := range conflicts {
		a.err.Line("regcred: " + redact.Line(conflict))
	}
	if len(conflicts) > 0 && f.prefer == "" {
		return errors.New("nothing is merged: take one of two providers out, or say which counts with --prefer first or last")
	}
	text, err := kubelet.Encode(providers)
	if err != nil {
		return err
	}
	if _, err := kubelet.Parse("the merged configuration", text); err != nil {
		return err
	}
	out := string(text)
	if f.output == "json" {
		if out, err = asJSON(out); err != nil {
			return err
		}
	}
	_, err = io.WriteString(a.out, out)
	return err
}

// mergeProviders puts providers together, and says which of a name differ.
func mergeProviders(configs []*kubelet.Config, last bool) (providers []kubeletconfig.CredentialProvider, conflicts []string) {
	var from []string // their files
	for _, config := range configs {
		for i := range config.Providers {
			p := &config.Providers[i]
			at := slices.IndexFunc(providers, func(known kubeletconfig.CredentialProvider) bool { return known.Name == p.Name })
			if at < 0 {
				providers, from = append(providers, p.CredentialProvider), append(from, p.File)
				continue
			}
			fields := differences(providers[at], p.CredentialProvider)
			if len(fields) == 0 {
				continue
			}
			conflicts = append(conflicts, fmt.Sprintf("provider %s of %s and of %s differ in %s", p.Name, from[at], p.File, strings.Join(fields, ", ")))
			if last {
				providers[at], from[at] = p.CredentialProvider, p.File
			}
		}
	}
	return providers, conflicts
}

// differences are the fields in which two providers differ, as they are written.
func differences(a, b kubeletconfig.CredentialProvider) []string {
	var fields []string
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			name, _, _ := strings.Cut(x.Type().Field(i).Tag.Get("json"), ",")
			fields = append(fields, name)
		}
	}
	return fields
}
