// Package version says what a binary is: its release, what it was built with
// and for what.
package version

import (
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"runtime"
)

// release is set by the linker.
var release = "devel"

// Version is the release that a binary is of, "devel" if it was built without
// one.
func Version() string { return release }

// Describe returns the version of the binary called name in a line, as text or
// as JSON.
func Describe(name, format string) string { return describe(name, format, fipsModule()) }

// fipsModule is the version of the FIPS 140-3 module that does this program's
// cryptography. It is empty where none is in use, which takes a build with
// GOFIPS140, or a GODEBUG that says so.
func fipsModule() string {
	if !fips140.Enabled() {
		return ""
	}
	return fips140.Version()
}

func describe(name, format, fipsModule string) string {
	v := struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		GoVersion string `json:"goVersion"`
		Platform  string `json:"platform"`
		FIPS140   string `json:"fips140,omitempty"`
	}{name, release, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, fipsModule}
	if format == "json" {
		data, _ := json.Marshal(v) // a struct of strings always encodes
		return string(data) + "\n"
	}
	text := fmt.Sprintf("%s %s (%s, %s", v.Name, v.Version, v.GoVersion, v.Platform)
	if v.FIPS140 != "" {
		text += ", FIPS 140-3 module " + v.FIPS140
	}
	return text + ")\n"
}
