package settings_test

import (
	"slices"
	"strings"
	"testing"

	"regcred/shared/settings"
)

func TestEnvironment(t *testing.T) {
	of := func(value string) []string {
		return settings.Environment(func(name string) string { return map[string]string{"KEY": value}[name] }, "KEY", "UNSET")
	}
	if got := of("hunter2"); len(got) != 1 || !strings.HasPrefix(got[0], "KEY=") || strings.Contains(got[0], "hunter2") {
		t.Errorf("got %q", got)
	}
	if slices.Equal(of("one"), of("two")) || !slices.Equal(of("one"), of("one")) {
		t.Error("values are not told apart")
	}
	if got := of(""); got != nil {
		t.Errorf("got %q for nothing", got)
	}
}

func TestIsFrom(t *testing.T) {
	for s, want := range map[string]bool{"": true, "aZ09": true, "a-b": true, "a.b": false, "ä": false, "a b": false, "a\n": false} {
		if got := settings.IsFrom(s, "-"); got != want {
			t.Errorf("%q: %t", s, got)
		}
	}
}
