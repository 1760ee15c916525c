package settings_test

import (
	"testing"

	"regcred/shared/image"
	"regcred/shared/settings"
)

func TestAliasesMatchWholeRegistriesOnly(t *testing.T) {
	c := &settings.Common{Aliases: map[string]string{"mirror.example.com": "gcr.io", "mirror.example.com:5000": "quay.io"}}
	c.SetDefaults(func(string) string { return "" })
	if err := c.Compile(); err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]string{
		"mirror.example.com":          "gcr.io",
		"MIRROR.example.com":          "gcr.io",
		"mirror.example.com:5000":     "quay.io",
		"mirror.example.com:443":      "",
		"mirror.example.com.evil.com": "",
		"a.mirror.example.com":        "",
	} {
		r, err := image.ParseRegistry(asked)
		if err != nil {
			t.Fatal(err)
		}
		got, aliased := c.Registry(r)
		if aliased != (want != "") || aliased && got.String() != want || !aliased && got != r {
			t.Errorf("%s: got %s, %t; want %q", asked, got, aliased, want)
		}
	}
}
