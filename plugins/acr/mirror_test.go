package acr

import (
	"maps"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
)

func TestParseMirrors(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"mcr.microsoft.com:a.azurecr.io":                         {"mcr.microsoft.com": "a.azurecr.io"},
		"mcr.microsoft.com:a.azurecr.io, docker.io:b.azurecr.io": {"mcr.microsoft.com": "a.azurecr.io", "docker.io": "b.azurecr.io"},
		"localhost:5000:a.azurecr.io":                            {"localhost:5000": "a.azurecr.io"},
		"mcr.microsoft.com:a.azurecr.io:443":                     {"mcr.microsoft.com": "a.azurecr.io:443"},
		"mcr.microsoft.com:443:a.azurecr.io:443":                 {"mcr.microsoft.com:443": "a.azurecr.io:443"},
		"a.b:c.azurecr.io,a.b:c.azurecr.io":                      {"a.b": "c.azurecr.io"},
		"mcr.microsoft.com:a.azurecr.io/aks":                     {"mcr.microsoft.com": "a.azurecr.io/aks"},
		"mcr.microsoft.com:443:a.azurecr.io:443/aks/m/":          {"mcr.microsoft.com:443": "a.azurecr.io:443/aks/m"},
		"mcr.microsoft.com:a.azurecr.io/,":                       {"mcr.microsoft.com": "a.azurecr.io"},
		"a.b:c.azurecr.io/,a.b:c.azurecr.io":                     {"a.b": "c.azurecr.io"},
		// Templates write these where there is no mirror.
		"": {}, ",": {}, " , ,": {},
	} {
		if got, err := parseMirrors(text); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		":", "mcr.microsoft.com", "mcr.microsoft.com:", ":a.azurecr.io", "mcr.microsoft.com:443", "a:1:b:2:c", "a:b:c:d", "a.b/c:d.azurecr.io",
		"https://a.b:c.azurecr.io", "a.b:0:c.azurecr.io", "a.b:c.azurecr.io,a.b:d.azurecr.io", "a b:c.azurecr.io", "*.b:c.azurecr.io", "[::1]:5000:c.azurecr.io",
		"a.b:c.azurecr.io/AKS", "a.b:c.azurecr.io/aks:v1", "a.b:c.azurecr.io/aks@x", "a.b:c.azurecr.io/../aks", "a.b:c.azurecr.io/a?b", "a.b:c.azurecr.io//aks",
	} {
		if got, err := parseMirrors(text); err == nil {
			t.Errorf("%q: got %q", text, got)
		}
	}
}

func TestMirrorsAreWholeHosts(t *testing.T) {
	p := compiled(load(t, nil, "-r", "mcr.microsoft.com:A.azurecr.io", "--registry-mirror=registry.test:5000:b.azurecr.io:443"))
	for host, want := range map[string]string{
		"mcr.microsoft.com": "a.azurecr.io", "MCR.microsoft.com": "a.azurecr.io", "registry.test:5000": "b.azurecr.io",
		"mcr.microsoft.community": "", "mcr.microsoft.com.evil.com": "", "a.mcr.microsoft.com": "", "mcr.microsoft.com:443": "", "registry.test": "", "registry.test:443": "",
	} {
		if got, ok := p.mirrors[mustParse(t, host).Canonical()]; got.server.host != want || ok != (want != "") {
			t.Errorf("%s: got %+v, %t", host, got, ok)
		}
	}
}

// A mirror may be a part of a registry: AKS's of isolated clusters is.
func TestMirrorsWithAPath(t *testing.T) {
	file := write(t, "config.yaml", head+"registryMirrors: {mcr.microsoft.com: m.azurecr.io/aks/, b.test: m.azurecr.io/}\n")
	flag := "--registry-mirror=mcr.microsoft.com:m.azurecr.io/aks,b.test:m.azurecr.io/,"
	for _, args := range [][]string{{"--config=" + file}, {flag}} {
		for name, want := range map[string]string{
			"mcr.microsoft.com/oss/pause:3": tokenOf("m.azurecr.io", "a token to pull aks/oss/pause", "", imds(machine)),
			"b.test/oss/pause:3":            tokenOf("m.azurecr.io", "a token to pull oss/pause", "", imds(machine)),
		} {
			if got, err := ask(t, load(t, nil, append(args, "--scope=repository")...), name, nil, nil); err != nil || describe(got) != want {
				t.Errorf("%s: got %s, %v", name, describe(got), err)
			}
			if got, err := ask(t, load(t, nil, args...), name, nil, nil); err != nil || describe(got) != exchanged("m.azurecr.io", "", imds(machine)) {
				t.Errorf("%s: got %s, %v", name, describe(got), err)
			}
		}
	}
	if mirrors := mirrorsOf(t, nil, "--registry-mirror="); len(mirrors) != 0 {
		t.Errorf("got %q", mirrors)
	}
}

// mirrorsOf returns the mirrors as they were given.
func mirrorsOf(t *testing.T, env []string, args ...string) map[string]string {
	t.Helper()
	s, _, err := Plugin().Read(args, plugintest.Getenv(env...))
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Settings).RegistryMirrors
}

// A flag replaces what the file says, as flags of all kinds do.
func TestMirrorsOfAFlag(t *testing.T) {
	file := write(t, "config.yaml", head+"registryMirrors: {a.test: a.azurecr.io, b.test: b.azurecr.io}\n")
	if mirrors := mirrorsOf(t, nil, "--config="+file); len(mirrors) != 2 {
		t.Errorf("got %q", mirrors)
	}
	mirrors := mirrorsOf(t, nil, "--config="+file, "-r", "c.test:c.azurecr.io", "-r", "d.test:d.azurecr.io")
	if want := map[string]string{"c.test": "c.azurecr.io", "d.test": "d.azurecr.io"}; !maps.Equal(mirrors, want) {
		t.Errorf("got %q", mirrors)
	}
	mirrors = mirrorsOf(t, []string{"REGCRED_REGISTRY_MIRROR=e.test:e.azurecr.io"})
	if want := map[string]string{"e.test": "e.azurecr.io"}; !maps.Equal(mirrors, want) {
		t.Errorf("got %q", mirrors)
	}
	usage := Plugin().Usage(plugintest.Getenv())
	if !strings.Contains(usage, "-r, --registry-mirror SRC:DST[,SRC:DST]") {
		t.Errorf("got %s", usage)
	}
}

func FuzzMirror(f *testing.F) {
	f.Add("mcr.microsoft.com:443:a.azurecr.io:443,b:c")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseMirrors(text)
		if err != nil {
			return
		}
		again, err := parseMirrors((&mirrorFlag{to: &parsed}).String())
		if err != nil || !maps.Equal(parsed, again) {
			t.Errorf("%q: %q is read again as %q, %v", text, parsed, again, err)
		}
	})
}
