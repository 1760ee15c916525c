package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"regcred/cmd/regcred/internal/term"
)

func testApp() *app {
	nothing := func(string) string { return "" }
	return &app{name: "regcred", stdin: strings.NewReader(""), out: term.New(new(bytes.Buffer), nothing), err: term.New(new(bytes.Buffer), nothing), getenv: nothing}
}

// eachCommand calls test for every command that does something.
func eachCommand(root *cobra.Command, test func(*cobra.Command)) {
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		if !cmd.HasSubCommands() {
			test(cmd)
		}
		eachCommand(cmd, test)
	}
}

// commandLines are the command lines of the tool in a text: a line each, or with
// a backslash at its end more.
func commandLines(text string) [][]string {
	var lines [][]string
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		for _, command := range regexp.MustCompile(`[|&;]+|\$\(|\)`).Split(line, -1) {
			words := strings.Fields(command)
			for len(words) > 0 && (words[0] == "$" || words[0] == "#" || words[0] == "sudo") {
				words = words[1:]
			}
			if len(words) < 2 || strings.TrimPrefix(words[0], "bin/") != "regcred" || words[1] == "COMMAND" {
				continue
			}
			args := words[1:]
			for i, word := range args {
				// What follows is the shell's, another program's or says what it does.
				if strings.HasPrefix(word, ">") || strings.HasPrefix(word, "#") || word == "--" || word == "..." {
					args = args[:i]
					break
				}
			}
			lines = append(lines, args)
		}
	}
	return lines
}

// wantParsed fails the test unless there is such a command with these flags.
func wantParsed(t *testing.T, where string, args []string) {
	t.Helper()
	cmd, rest, err := testApp().root().Find(args)
	if err != nil {
		t.Errorf("%s: regcred %s: %v", where, strings.Join(args, " "), err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: regcred %s: %v", where, strings.Join(args, " "), err)
	}
}

func TestHelpTeachesWhatWorks(t *testing.T) {
	eachCommand(testApp().root(), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" || cmd.Long == "" || cmd.Example == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: help has no purpose, explanation or example, or a sentence for a purpose: %q", path, cmd.Short)
		}
		for line := range strings.Lines(cmd.Long) {
			if len(line) > 100 {
				t.Errorf("%s: a line of %d characters: %s", path, len(line), line)
			}
		}
		own := 0
		for _, args := range commandLines(cmd.Example) {
			wantParsed(t, path, args)
			if strings.HasPrefix("regcred "+strings.Join(args, " "), path) {
				own++
			}
		}
		if own == 0 {
			t.Errorf("%s: no example is of it:\n%s", path, cmd.Example)
		}
	})
}

// The pages show commands and flags that there are, and there is no command that
// none of them tells of.
func TestPagesShowWhatWorks(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatal(pages, err)
	}
	var all strings.Builder
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
		code := false
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "```") {
				code = !code
			}
			if !code && !strings.HasPrefix(line, "    ") {
				continue
			}
			// Columns: what stands far to the right says what the command does.
			command, _, _ := strings.Cut(strings.TrimSpace(line), "   ")
			for _, args := range commandLines(command) {
				wantParsed(t, filepath.Base(page), args)
			}
		}
		for _, quoted := range regexp.MustCompile("`(regcred [^`]+)`").FindAllStringSubmatch(string(text), -1) {
			for _, args := range commandLines(quoted[1]) {
				wantParsed(t, filepath.Base(page), args)
			}
		}
	}
	eachCommand(testApp().root(), func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		words := strings.Fields(cmd.CommandPath())
		if verb := words[1]; !strings.Contains(all.String(), "regcred "+verb) || len(words) > 2 && !strings.Contains(all.String(), "**"+words[2]+"**") && !strings.Contains(all.String(), strings.Join(words, " ")) {
			t.Errorf("no page tells of %s", cmd.CommandPath())
		}
	})
}
