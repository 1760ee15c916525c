package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"regcred/cmd/regcred/internal/term"
)

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// What nobody can read was not printed: a program that redirects it has to know.
func TestLostOutputIsAFailure(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"--help"}, {"doctor", "--list"}, {"config", "print", "ecr"}} {
		var told strings.Builder
		nothing := func(string) string { return "" }
		a := app{name: "regcred", stdin: strings.NewReader(""), out: term.New(full{}, nothing), err: term.New(&told, nothing), getenv: nothing}
		if code := a.run(t.Context(), args); code != 1 || told.String() != "regcred: no space left on device\n" {
			t.Errorf("%v: exit code %d, stderr %q", args, code, told.String())
		}
		a.out = term.New(io.Discard, nothing)
		if code := a.run(t.Context(), args); code != 0 {
			t.Errorf("%v: exit code %d where there is room", args, code)
		}
	}
}

func TestTheNameOfAnImageCommandsNoTerminal(t *testing.T) {
	for name, want := range map[string]string{
		"a\x1b]0;title\x07b\nc":  "looking at a ]0;title b c ...",
		strings.Repeat("ü", 100): "looking at " + strings.Repeat("ü", 31) + " ...",
	} {
		if got := lookingAt([]string{name}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := lookingAt(nil); got != "" {
		t.Errorf("nothing: got %q", got)
	}
}

func TestWhatIsAskedForWronglyIsNotAnsweredWithSomethingElse(t *testing.T) {
	root := t.TempDir()
	for line, want := range map[string]int{
		"help":                                  0,
		"help config merge":                     0,
		"help completion bash":                  0,
		"completion":                            0,
		"completion bash":                       0,
		"nonsense":                              2,
		"doctor --list":                         0,
		"doctor --list -o json":                 2,
		"install --root " + root + " --cloud x": 2,
		"install --root " + root + " --provider x": 2,
		"install --root " + root + " --platform x": 2,
		"config nonsense":                          2,
		"help nonsense":                            2,
		"help config nonsense":                     2,
		"help get nonsense":                        2,
		"completion tcsh":                          2,
		"completion bash --nope":                   2,
		"completion bash x":                        2,
	} {
		a := testApp()
		var out, told strings.Builder
		a.out, a.err = term.New(&out, a.getenv), term.New(&told, a.getenv)
		code := a.run(t.Context(), strings.Fields(line))
		if code != want || (out.Len() > 0) != (want == 0) || strings.Count(told.String(), "\n") != want/2 {
			t.Errorf("%s: exit code %d, want %d; stdout %.40q, stderr %q", line, code, want, out.String(), told.String())
		}
	}
}
