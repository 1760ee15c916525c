package serve

import (
	"encoding/json"
	"fmt"
	"runtime"
)

// version is set by the linker.
var version = "devel"

// describeVersion returns the version as text or JSON.
func describeVersion(name, format string) string {
	v := struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		GoVersion string `json:"goVersion"`
		Platform  string `json:"platform"`
	}{name, version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if format == "json" {
		data, _ := json.Marshal(v) // a struct of strings always encodes
		return string(data) + "\n"
	}
	return fmt.Sprintf("%s %s (%s, %s)\n", v.Name, v.Version, v.GoVersion, v.Platform)
}
