package label

import (
	"os/exec"
	"testing"
	"time"

	"github.com/blang/semver/v4"
)

var committed = time.Date(2026, 11, 26, 20, 33, 4, 0, time.UTC)

func parse(t *testing.T, text string) Label {
	t.Helper()
	label, err := Parse(text, committed)
	if err != nil {
		t.Fatal(err)
	}
	return label
}

func TestParse(t *testing.T) {
	for text, want := range map[string]struct{ pkg, plain string }{
		"v1.2.3":                          {"1.2.3", "1.2.3"},
		"v1.2.3-rc.1":                     {"1.2.3~rc.1", "1.2.3-rc.1"},
		"v1.2.3-4-gabcdef0":               {"1.2.3+4.gabcdef0", "1.2.3-4-gabcdef0"},
		"v1.2.3-rc.1-12-gabcdef0":         {"1.2.3~rc.1+12.gabcdef0", "1.2.3-rc.1-12-gabcdef0"},
		"v1.2.3-dirty":                    {"1.2.3+dirty", "1.2.3-dirty"},
		"v1.2.3-4-gabcdef0-dirty":         {"1.2.3+4.gabcdef0.dirty", "1.2.3-4-gabcdef0-dirty"},
		"0ee28a7":                         {"0~20261126203304+g0ee28a7", "0ee28a7"},
		"0ee28a7-dirty":                   {"0~20261126203304+g0ee28a7.dirty", "0ee28a7-dirty"},
		"devel":                           {"0~20261126203304+gdevel", "devel"},
		"v10.20.30-alpha.2-1-g0123456789": {"10.20.30~alpha.2+1.g0123456789", "10.20.30-alpha.2-1-g0123456789"},
	} {
		got := parse(t, text)
		if got.Package != want.pkg || got.Plain() != want.plain || got.Text != text {
			t.Errorf("%s: got package %s and plain %s, want %s and %s", text, got.Package, got.Plain(), want.pkg, want.plain)
		}
	}
}

func TestSemver(t *testing.T) {
	for text, want := range map[string]string{
		"v1.2.3":                  "1.2.3",
		"v1.2.3-rc.1":             "1.2.3-rc.1",
		"v1.2.3-4-gabcdef0-dirty": "1.2.3+4.gabcdef0.dirty",
		"0ee28a7":                 "0.0.0-20261126203304+g0ee28a7",
	} {
		got := parse(t, text).Semver()
		if _, err := semver.Parse(got); got != want || err != nil {
			t.Errorf("%s: got %s, want %s; %v", text, got, want, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "v1.2", "1.2.3", "v1.2.3+meta", "v1.2.3-", "v1.2.3 ", "release/v1.2.3", "../x", "-dirty", "v1.2.3-rc_1"} {
		if got, err := Parse(text, committed); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

// Each of these is an upgrade from the one before it.
var inOrder = []string{
	"0ee28a7", "v0.1.0-alpha.1", "v0.1.0-rc.1", "v0.1.0-rc.1-3-gabcdef0", "v0.1.0-rc.2", "v0.1.0", "v0.1.0-9-gfedcba9",
	"v0.1.0-10-gabcdef0", "v0.1.1-rc.1", "v0.1.1", "v0.2.0", "v0.10.0", "v1.0.0",
}

func TestDpkgOrdersVersionsAsTheyWereMade(t *testing.T) {
	for i, text := range inOrder[1:] {
		older, newer := parse(t, inOrder[i]).Package, parse(t, text).Package
		if err := exec.Command("dpkg", "--compare-versions", older, "lt", newer).Run(); err != nil {
			t.Errorf("dpkg does not take %s to be older than %s: %v", older, newer, err)
		}
	}
}

func TestRPMOrdersVersionsAsTheyWereMade(t *testing.T) {
	for i, text := range inOrder[1:] {
		older, newer := parse(t, inOrder[i]).Package, parse(t, text).Package
		got, err := exec.Command("rpm", "--eval", `%{lua:print(rpm.vercmp("`+older+`", "`+newer+`"))}`).CombinedOutput()
		if string(got) != "-1\n" || err != nil {
			t.Errorf("rpm compares %s to %s: %s%v; want -1", older, newer, got, err)
		}
	}
}
