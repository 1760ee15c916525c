package kubelet_test

import (
	"strconv"
	"strings"
	"testing"
)

// wantLine fails the test unless the plugin said one line that has all the
// words in it.
func wantLine(t *testing.T, line string, words ...string) {
	t.Helper()
	t.Log(line)
	if strings.Contains(line, "\n") {
		t.Errorf("the plugin said more than one line:\n%s", line)
	}
	for _, word := range words {
		if !strings.Contains(strings.ToLower(line), strings.ToLower(word)) {
			t.Errorf("the plugin does not say %q: %s", word, line)
		}
	}
}

// said is what the plugin wrote to its standard error, as the entry of
// kubelet's log about a failure repeats it: quoted, on the entry's own line, so
// that a search for the image finds it.
func said(t *testing.T, entry string) string {
	t.Helper()
	_, rest, found := strings.Cut(entry, " err=")
	quoted, err := strconv.QuotedPrefix(rest)
	if !found || err != nil || strings.Count(strings.TrimSpace(entry), "\n") != 0 {
		t.Fatalf("not one line about a plugin that failed:\n%s", entry)
	}
	whole, err := strconv.Unquote(quoted)
	if err != nil {
		t.Fatal(err)
	}
	_, text, failed := strings.Cut(whole, ": exit status 1: ")
	if !failed {
		t.Fatalf("not the log entry of a plugin that failed with a message:\n%s", entry)
	}
	return text
}
