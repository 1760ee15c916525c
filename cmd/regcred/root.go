package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"regcred/cmd/regcred/internal/term"
	"regcred/shared/credential"
	"regcred/shared/redact"
	"regcred/shared/version"
)

// app is a run of the tool, with whatever it touches.
type app struct {
	name     string
	stdin    io.Reader
	out, err *term.Printer
	getenv   func(string) string
	environ  []string // as name=value
}

// errUsage is wrapped by errors of the command line.
var errUsage = errors.New("see --help")

// exitCode ends a run whose answer is told by its exit code and was printed.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// run runs a command line and returns the exit code: 0 for success, 1 for a
// failure or for "no" as the answer, 2 for a command line that is wrong. A
// failure is one line on stderr.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code, told := errors.AsType[exitCode](err)
	if lost := a.out.Err(); lost != nil && (err == nil || told) {
		// Half of a report is none: the disk may be full.
		a.fail(lost)
		return max(int(code), 1)
	}
	if told {
		return int(code)
	}
	if err == nil {
		return 0
	}
	a.fail(err)
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

// fail prints a failure.
func (a *app) fail(err error) {
	a.err.Line("regcred: " + redact.Line(err.Error(), credential.Known()...))
}

// root is the command of which the verbs are made.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "regcred",
		Short: "How this node gets at private images: shown, checked, installed",
		Long: `regcred shows, checks and installs how a Kubernetes node gets at private images.
It reads the configuration of the node's kubelet and runs the credential provider
plugins as the kubelet does.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usage(cobra.NoArgs),
	}
	asked := root.Flags().String("version", "", "print the version, as `text|json`")
	root.Flags().Lookup("version").NoOptDefVal = "text"
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		switch *asked {
		case "":
			return cmd.Help()
		case "text", "json":
			_, err := io.WriteString(a.out, version.Describe("regcred", *asked))
			return err
		default:
			return usageError(fmt.Errorf("--version=%s: want text or json", *asked))
		}
	}
	root.SetIn(a.stdin)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		printUsage(cmd.OutOrStdout(), cmd)
		return nil
	})
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddGroup(
		&cobra.Group{ID: groupAsk, Title: "Find out:"},
		&cobra.Group{ID: groupNode, Title: "Set up a node:"},
	)
	// A verb has a file of its own, and a line here.
	root.AddCommand(
		a.cacheCommand(),
		a.configCommand(),
		a.doctorCommand(),
		a.execCommand(),
		a.explainCommand(),
		a.getCommand(),
		a.installCommand(),
		a.prepullCommand(),
		a.secretCommand(),
		a.statusCommand(),
		a.uninstallCommand(),
		a.waitCommand(),
	)
	strictDefaults(root)
	inOrder(root)
	return root
}

// inOrder has flags listed as their verbs define them, by what they are for, and
// not by the alphabet.
func inOrder(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	for _, verb := range cmd.Commands() {
		inOrder(verb)
	}
}

// strictDefaults makes cobra's own verbs fail with words that they do not know:
// it would print help for another one, as if all were well.
func strictDefaults(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = usage(func(_ *cobra.Command, words []string) error {
				found, rest, err := root.Find(words)
				if err == nil && len(rest) > 0 {
					err = fmt.Errorf("unknown command %q for %q", rest[0], found.CommandPath())
				}
				return err
			})
		case "completion":
			cmd.Args = usage(cobra.NoArgs)
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			for _, shell := range cmd.Commands() {
				shell.Args = usage(cobra.NoArgs)
			}
		}
	}
}

// Groups of verbs, in the order in which --help lists them.
const (
	groupAsk  = "ask"
	groupNode = "node"
)

// usage makes what positional refuses an error of the command line.
func usage(positional cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := positional(cmd, args); err != nil {
			return usageError(err)
		}
		return nil
	}
}

// usageError makes err one of the command line.
func usageError(err error) error { return fmt.Errorf("%w (%w)", err, errUsage) }
