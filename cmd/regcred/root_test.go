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
