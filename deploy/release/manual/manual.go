// Package manual makes pages for man, and completions for shells, of what the
// binaries say of themselves.
package manual

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"regcred/deploy/release/tree"
)

// Book asks the binaries in a directory, which must be able to run here.
type Book struct {
	Dir     string
	Version string
	Date    time.Time
}

// Pages adds a page for every binary: section 8 for what the kubelet runs, and
// section 1 for what people run, with all verbs in one page.
func (b Book) Pages(stage tree.Stage) ([]tree.File, error) {
	names, err := tree.Binaries(b.Dir)
	if err != nil {
		return nil, err
	}
	var files []tree.File
	for _, name := range names {
		section := "1"
		if tree.IsPlugin(name) {
			section = "8"
		}
		text, err := b.page(name, section)
		if err != nil {
			return nil, fmt.Errorf("manual of %s: %w", name, err)
		}
		file, err := stage.Compress("/usr/share/man/man"+section+"/"+name+"."+section, text)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
		if name != tree.Tool {
			continue
		}
		link := "/usr/share/man/man" + section + "/" + tree.Helper + "." + section + ".gz"
		files = append(files, tree.File{Path: link, Target: path.Base(file.Path)})
	}
	return files, nil
}

// page is the manual's page of a binary.
func (b Book) page(name, section string) ([]byte, error) {
	help, err := b.ask(name, "--help")
	if err != nil {
		return nil, err
	}
	summary, err := purpose(name, help)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, ".TH %s %s %s %s\n", strings.ToUpper(name), section, b.Date.UTC().Format(time.DateOnly), quote(name+" "+b.Version))
	fmt.Fprintf(&page, ".SH NAME\n%s \\- %s\n", escape(name), escape(summary))
	fmt.Fprintf(&page, ".SH DESCRIPTION\n%s", verbatim(help))
	if tree.IsPlugin(name) {
		return page.Bytes(), nil
	}
	verbs, err := b.verbs(name)
	if err != nil {
		return nil, err
	}
	for _, verb := range verbs {
		help, err := b.ask(name, verb, "--help")
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&page, ".SH %s\n%s", quote(strings.ToUpper(verb)), verbatim(help))
	}
	return page.Bytes(), nil
}

// Completion makes one shell complete the tool's command line.
type Completion struct {
	Shell string
	Text  []byte
}

// Completions are those of the shells that people have. A release without the
// tool has none.
func (b Book) Completions() ([]Completion, error) {
	names, err := tree.Binaries(b.Dir)
	if err != nil || !slices.Contains(names, tree.Tool) {
		return nil, err
	}
	var made []Completion
	for _, shell := range []string{"bash", "fish", "powershell", "zsh"} {
		script, err := b.ask(tree.Tool, "completion", shell)
		if err != nil {
			return nil, err
		}
		made = append(made, Completion{shell, []byte(script)})
	}
	return made, nil
}

// verbs are what the tool can be asked to do, by its own completion.
func (b Book) verbs(name string) ([]string, error) {
	list, err := b.ask(name, "__complete", "")
	if err != nil {
		return nil, err
	}
	var verbs []string
	for line := range strings.Lines(list) {
		verb, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if verb != "" && verb != "help" && !strings.HasPrefix(verb, ":") {
			verbs = append(verbs, verb)
		}
	}
	return verbs, nil
}

// ask is what a binary prints. It runs without an environment: nothing of this
// machine gets into what it says.
func (b Book) ask(name string, arguments ...string) (string, error) {
	command := exec.Command(filepath.Join(b.Dir, name), arguments...)
	command.Env = []string{"LANG=C.UTF-8", "HOME=/nonexistent"}
	command.Dir = "/"
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(output), nil
}

// purpose is what the first sentence of a help text says that a binary does.
func purpose(name, help string) (string, error) {
	paragraph, _, _ := strings.Cut(help, "\n\n")
	sentence, _, _ := strings.Cut(strings.Join(strings.Fields(paragraph), " "), ". ")
	rest, ok := strings.CutPrefix(sentence, name+" ")
	if !ok {
		return "", errors.New("its help does not begin with what it does")
	}
	return strings.TrimSuffix(rest, "."), nil
}

// verbatim is text that man prints as it is.
func verbatim(text string) string {
	var page strings.Builder
	page.WriteString(".nf\n")
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = escape(strings.TrimRight(line, "\n"))
		if strings.HasPrefix(line, ".") {
			line = `\&` + line
		}
		page.WriteString(line + "\n")
	}
	page.WriteString(".fi\n")
	return page.String()
}

// escape keeps man from reading anything into text: a hyphen above all is to be
// one that can be copied into a shell.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", "\\(ga", `^`, `\(ha`, `~`, `\(ti`).Replace(text)
}

func quote(text string) string { return `"` + strings.ReplaceAll(escape(text), `"`, `\(dq`) + `"` }
