package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRunRefuses(t *testing.T) {
	const epoch = "1700000000"
	for name, tc := range map[string]struct {
		arguments []string
		epoch     string
		want      string
	}{
		"nothing to do":                 {nil, epoch, "want make, image or push"},
		"another verb":                  {[]string{"sign"}, epoch, `not "sign"`},
		"no time":                       {[]string{"make", "-version", "v1.2.3"}, "", "SOURCE_DATE_EPOCH"},
		"no version":                    {[]string{"make"}, epoch, "version"},
		"an argument":                   {[]string{"make", "-version", "v1.2.3", "all"}, epoch, `argument "all"`},
		"no binaries":                   {[]string{"make", "-version", "v1.2.3", "-dist", t.TempDir()}, epoch, "run make release"},
		"binaries of another version":   {[]string{"image", "-version", "v99.0.0"}, epoch, "want version v99.0.0"},
		"nowhere to push":               {[]string{"push"}, epoch, "want one REGISTRY/REPOSITORY"},
		"a push of what is not there":   {[]string{"push", "-layout", t.TempDir(), "localhost/regcred"}, epoch, "layout"},
		"a push of a name that is none": {[]string{"push", "localhost/Regcred"}, epoch, "Regcred"},
	} {
		err := run(t.Context(), tc.arguments, func(string) string { return tc.epoch }, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
