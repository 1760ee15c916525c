package term

import (
	"bytes"
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
