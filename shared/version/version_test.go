package version

import (
	"crypto/fips140"
	"runtime"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	built := runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH
	for _, tc := range []struct{ format, module, want string }{
		{"text", "", "tool devel (" + built + ")\n"},
		{"text", "v1.0.0", "tool devel (" + built + ", FIPS 140-3 module v1.0.0)\n"},
		{"json", "", `"platform":"` + runtime.GOOS + "/" + runtime.GOARCH + `"}` + "\n"},
		{"json", "v1.0.0", `,"fips140":"v1.0.0"}` + "\n"},
	} {
		if got := describe("tool", tc.format, tc.module); !strings.HasSuffix(got, tc.want) {
			t.Errorf("%s with module %q: got %q, want the end %q", tc.format, tc.module, got, tc.want)
		}
	}
}

func TestTheModuleIsNamedWhereItIsInUse(t *testing.T) {
	if got := Describe("tool", "text"); strings.Contains(got, "FIPS") != fips140.Enabled() {
		t.Errorf("got %q; FIPS 140-3 mode is on: %v", got, fips140.Enabled())
	}
}
