package term

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestPrinterOfWhatIsNoTerminal(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, func(string) string { return "" })
	p.Line(p.Styled(Red, "failed"))
	p.Table([][]string{{"a", "b"}, {"long", "c"}})
	const want = "failed\na     b\nlong  c\n"
	if out.String() != want || p.IsTerminal() {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

// Names of files and programs may hold what a terminal obeys.
func TestNothingCommandsTheTerminal(t *testing.T) {
	const evil = "a\x1b]0;t\x07b\u009b2Jc\x9bd\u202ee\x1b[2Jf\rg\tü"
	for colour, want := range map[bool]string{
		false: "a ]0;t b 2Jc\ufffdd e [2Jf g\tü  [1mx [0m\n",
		true:  "a ]0;t b 2Jc\ufffdd e [2Jf g\tü \x1b[1mx\x1b[0m\n",
	} {
		var out bytes.Buffer
		p := &Printer{w: &out, colour: colour}
		p.Line(evil + " \x1b[1mx\x1b[0m")
		if out.String() != want {
			t.Errorf("colour %t: printed %q, want %q", colour, out.String(), want)
		}
	}
	var out bytes.Buffer
	(&Printer{w: &out}).Table([][]string{{"a\x1b[2J\nb\tc", "d"}})
	if want := "a [2J b c  d\n"; out.String() != want {
		t.Errorf("table %q, want %q", out.String(), want)
	}
}

// Programs get what a name is, and people who look at the JSON see it.
func TestJSONCommandsNoTerminal(t *testing.T) {
	const evil = "a\x1b]0;t\x07b\u009b2Jc\u202ed\U000e0041e\x7f<&\tü\u2028\n"
	text, err := JSON(map[string]string{evil: evil})
	if err != nil || bytes.IndexFunc(bytes.ReplaceAll(text, []byte("\n"), nil), isControl) >= 0 {
		t.Errorf("%v: %q", err, text)
	}
	var back map[string]string
	if err := json.Unmarshal(text, &back); err != nil || back[evil] != evil || !bytes.Contains(text, []byte("<&")) || text[len(text)-1] != '\n' {
		t.Errorf("%v: %q of %s", err, back, text)
	}
}
