// Package docs_test holds the documentation to itself and to the plugins:
// links lead somewhere, every cloud's page has the same sections, and every
// setting is told of. That samples work is tested where they are used.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/acr"
	"regcred/plugins/dockerconfig"
	"regcred/plugins/ecr"
	"regcred/plugins/gcr"
	"regcred/plugins/icr"
	"regcred/plugins/ocir"
)

// plugins are the clouds' pages and what --help says of their settings.
var plugins = map[string]string{
	"ecr.md":  ecr.Plugin().Usage(noEnvironment),
	"gcr.md":  gcr.Plugin().Usage(noEnvironment),
	"acr.md":  acr.Plugin().Usage(noEnvironment),
	"icr.md":  icr.Plugin().Usage(noEnvironment),
	"ocir.md": ocir.Plugin().Usage(noEnvironment),

	"dockerconfig.md": dockerconfig.Plugin().Usage(noEnvironment),
}

// A plugin whose page nobody looks at would be out of date soon.
func TestEveryPluginHasAPage(t *testing.T) {
	commands, err := filepath.Glob("../cmd/*-credential-provider")
	if err != nil || len(commands) == 0 {
		t.Fatalf("no plugins: %v", err)
	}
	for _, command := range commands {
		name, _, _ := strings.Cut(filepath.Base(command), "-")
		if _, found := plugins[name+".md"]; !found {
			t.Errorf("the tests here do not look at %s", filepath.Base(command))
		}
	}
}

func noEnvironment(string) string { return "" }

// pages are the names of all pages, seen from here.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.md")
	if err != nil || len(found) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	return append(found, "../README.md", "../CONTRIBUTING.md")
}

func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fences are blocks of code, which have neither links nor headings.
var fences = regexp.MustCompile("(?ms)^ *```.*?^ *```$")

// headings are the headings of a page, with their number signs.
func headings(text string) []string {
	var found []string
	for line := range strings.Lines(fences.ReplaceAllString(text, "")) {
		if strings.HasPrefix(line, "#") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// notInAnchor is what anchors of headings leave out.
var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

func anchor(heading string) string {
	text := strings.ToLower(strings.TrimLeft(heading, "# "))
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(text, ""), " ", "-")
}

func TestLinksLeadSomewhere(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	others, err := filepath.Glob("../deploy/*/README.md")
	if err != nil || len(others) == 0 {
		t.Fatalf("no pages in deploy: %v", err)
	}
	count := 0
	for _, page := range slices.Concat(pages(t), others, []string{"../SECURITY.md"}) {
		for _, match := range links.FindAllStringSubmatch(fences.ReplaceAllString(read(t, page), ""), -1) {
			target, fragment, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			count++
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Errorf("%s: %s: %v", page, match[1], err)
				continue
			}
			if fragment != "" && !slices.ContainsFunc(headings(string(text)), func(h string) bool { return anchor(h) == fragment }) {
				t.Errorf("%s: %s: there is no such heading", page, match[1])
			}
		}
	}
	if count == 0 {
		t.Error("no page has a link")
	}
}

func TestEveryCloudHasTheSameSections(t *testing.T) {
	want := []string{
		"## Registries and hosts", "## Identity of the node", "## Identity of pods", "## Settings", "## Permissions",
		"## What differs from the vendor's plugin", "## Messages and what they mean", "## What was checked",
	}
	for page := range plugins {
		got := slices.DeleteFunc(headings(read(t, page)), func(h string) bool { return !strings.HasPrefix(h, "## ") })
		if !slices.Equal(got, want) {
			t.Errorf("%s: sections %q, want %q", page, got, want)
		}
	}
}

// Settings that all plugins have are on the page on installing.
func TestEverySettingIsToldOf(t *testing.T) {
	flags := regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[A-Za-z-]+)`)
	variables := regexp.MustCompile(`\$([A-Z_]+)`)
	for page, usage := range plugins {
		text := read(t, page) + read(t, "install.md")
		found := flags.FindAllStringSubmatch(usage, -1)
		if len(found) < 10 {
			t.Fatalf("%s: --help has %d flags:\n%s", page, len(found), usage)
		}
		for _, flag := range found {
			if flag[1] != "--help" && !strings.Contains(text, "`"+flag[1]) {
				t.Errorf("%s and install.md do not tell of %s", page, flag[1])
			}
		}
		for _, variable := range variables.FindAllStringSubmatch(usage, -1) {
			if !strings.HasPrefix(variable[1], "REGCRED_") && !strings.Contains(text, "`"+variable[1]) {
				t.Errorf("%s and install.md do not tell of %s", page, variable[1])
			}
		}
	}
}

func TestEveryPageIsInTheREADME(t *testing.T) {
	readme := read(t, "../README.md")
	for _, page := range pages(t) {
		if strings.HasPrefix(page, "../README") {
			continue
		}
		path := strings.TrimPrefix("docs/"+page, "docs/../")
		if !strings.Contains(readme, "("+path+")") {
			t.Errorf("README.md has no link to %s", path)
		}
	}
}
