//go:build linux

package regcred_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// help is what the tool says of itself.
func help(t *testing.T, verb ...string) string {
	t.Helper()
	text, err := exec.Command(tool, append(verb, "--help")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestThePageTellsOfEveryVerb(t *testing.T) {
	text, err := os.ReadFile("../../docs/regcred.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	_, listed, _ := strings.Cut(help(t), "Find out:")
	listed, _, _ = strings.Cut(listed, "\nMore:")
	verbs := regexp.MustCompile(`(?m)^  ([a-z]+) +[A-Z]`).FindAllStringSubmatch(listed, -1)
	if len(verbs) < 5 {
		t.Fatalf("verbs %q in\n%s", verbs, listed)
	}
	for _, verb := range verbs {
		if !regexp.MustCompile("(?m)(^ +|`)regcred " + verb[1] + `\b`).MatchString(page) {
			t.Errorf("nothing of regcred %s", verb[1])
		}
		if says := help(t, verb[1]); strings.Contains(says, "[=") || strings.Contains(says, "(default [])") {
			t.Errorf("the help of %s says nothing at length:\n%s", verb[1], says)
		}
	}
	for _, flag := range regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`).FindAllStringSubmatch(help(t, "get"), -1) {
		switch flag[1] {
		case "--help", "--output", "--platform": // which are told of by other words
		default:
			if !strings.Contains(page, "`"+flag[1]) {
				t.Errorf("nothing of the flag %s of get", flag[1])
			}
		}
	}
}
