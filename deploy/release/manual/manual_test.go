package manual

import (
	"strings"
	"testing"
)

func TestPurpose(t *testing.T) {
	for help, want := range map[string]string{
		"tool answers questions\nof the kubelet. More.\n\nUsage:\n": "answers questions of the kubelet",
		"tool shows, checks.\n":          "shows, checks",
		"tool does\n\nAnother paragraph": "does",
	} {
		if got, err := purpose("tool", help); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", help, got, err, want)
		}
	}
	if got, err := purpose("tool", "Usage: tool"); err == nil {
		t.Errorf("got %q of a help that does not say what the tool does", got)
	}
}

func TestManReadsNothingIntoText(t *testing.T) {
	got := verbatim("\n.TH of a file\n  --flag='a\\b'\n'quoted'\n")
	want := ".nf\n\\&.TH of a file\n  \\-\\-flag=\\(aqa\\eb\\(aq\n\\(aqquoted\\(aq\n.fi\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := quote(`a "b" c`); strings.Count(got, `"`) != 2 {
		t.Errorf("got %s", got)
	}
}
