package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how wide flags are described.
const helpWidth = 100

// printUsage prints how a command is called: cobra's own text, without what
// says nothing.
func printUsage(w io.Writer, cmd *cobra.Command) {
	var b strings.Builder
	b.WriteString("Usage:")
	if cmd.Runnable() && !cmd.HasAvailableSubCommands() {
		b.WriteString("\n  " + cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n  " + cmd.CommandPath() + " COMMAND")
	}
	if cmd.HasExample() {
		b.WriteString("\n\nExamples:\n" + strings.TrimRight(cmd.Example, "\n"))
	}
	for _, group := range cmd.Groups() {
		writeCommands(&b, cmd, group.Title, group.ID)
	}
	if cmd.HasAvailableSubCommands() && !cmd.AllChildCommandsHaveGroup() {
		title := "Commands:"
		if len(cmd.Groups()) > 0 {
			title = "More:"
		}
		writeCommands(&b, cmd, title, "")
	}
	if cmd.HasAvailableLocalFlags() {
		b.WriteString("\n\nFlags:\n" + flagUsages(cmd.LocalFlags()))
	}
	if cmd.HasAvailableInheritedFlags() {
		b.WriteString("\n\nFlags of all commands:\n" + flagUsages(cmd.InheritedFlags()))
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n\n\"" + cmd.CommandPath() + " COMMAND --help\" says more.")
	}
	_, _ = fmt.Fprintln(w, b.String())
}

func writeCommands(b *strings.Builder, cmd *cobra.Command, title, group string) {
	b.WriteString("\n\n" + title)
	for _, verb := range cmd.Commands() {
		if verb.GroupID == group && (verb.IsAvailableCommand() || verb.Name() == "help") {
			fmt.Fprintf(b, "\n  %-*s %s", verb.NamePadding(), verb.Name(), verb.Short)
		}
	}
}

// flagUsages describes flags. Nobody asks for no help.
func flagUsages(flags *pflag.FlagSet) string {
	text := flags.FlagUsagesWrapped(helpWidth)
	// Nor is what a flag means without a value news to who asks for its meaning.
	for _, optional := range []string{"[=true|false]", "[=\"text\"]"} {
		text = strings.ReplaceAll(text, optional, strings.Repeat(" ", len(optional)))
	}
	return strings.TrimRight(text, " \n")
}
