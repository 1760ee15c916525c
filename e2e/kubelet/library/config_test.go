package library_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/kubernetes/pkg/credentialprovider/plugin"

	"regcred/shared/kubelet"
)

// accepts asks the kubelet whether it takes a configuration. The directory of
// programs is empty, so that nothing is ever registered.
func accepts(t *testing.T, path, binDir string) (ok bool, why error) {
	t.Helper()
	err := plugin.RegisterCredentialProviderPlugins(path, binDir, nil, nil)
	if err == nil {
		t.Fatalf("the kubelet registered programs of %s that are not there", path)
	}
	return strings.Contains(err.Error(), "binary executable"), err
}

// hash is what the kubelet publishes of the configuration that it took last.
func hash(t *testing.T) string {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "kubelet_credential_provider_config_info" {
			return family.GetMetric()[0].GetLabel()[0].GetValue()
		}
	}
	t.Fatal("no hash")
	return ""
}

// compare holds a verdict to the kubelet's.
func compare(t *testing.T, path, binDir string) bool {
	t.Helper()
	want, why := accepts(t, path, binDir)
	config, err := kubelet.Load(path)
	// The kubelet's own rules let an empty name pass, and then it does not find
	// the program.
	refused := slices.ContainsFunc(config.Problems, func(p kubelet.Problem) bool {
		return p.Level == kubelet.Error && p.Code != "name-missing"
	})
	if refused == want {
		t.Errorf("%s: got %v; the kubelet: %v", path, err, why)
		if text, err := os.ReadFile(path); err == nil {
			t.Logf("\n%s", text)
		}
	}
	for _, p := range config.Problems {
		if strings.ContainsAny(p.String(), "\n\r") || p.Message == "" || p.File == "" || p.Code == "" {
			t.Errorf("%s: problem %+v", path, p)
		}
	}
	if want && config.Hash != hash(t) {
		t.Errorf("%s: hash %s, and the kubelet's is %s", path, config.Hash, hash(t))
	}
	if err := config.CheckBinaries(binDir).Err(); want && err == nil {
		t.Errorf("%s: all programs are there", path)
	}
	return want
}

// The files that say by their names what the kubelet does with them are right.
func TestNamedConfigs(t *testing.T) {
	paths, err := filepath.Glob("../../../shared/kubelet/testdata/config/*.*")
	if err != nil || len(paths) < 100 {
		t.Fatal(err, len(paths))
	}
	binDir := t.TempDir()
	for _, path := range paths {
		name := filepath.Base(path)
		if filepath.Ext(name) == ".txt" {
			continue
		}
		ok := compare(t, path, binDir)
		if starts := !strings.HasPrefix(name, "bad-"); ok != starts {
			t.Errorf("%s: the kubelet accepts: %t", name, ok)
		}
	}
}

func TestConfigs(t *testing.T) {
	m := newMaker(2)
	binDir, path := t.TempDir(), filepath.Join(t.TempDir(), "config.yaml")
	accepted, n := 0, scaled(6_000)
	for range n {
		text := m.config()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if compare(t, path, binDir) {
			accepted++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d accepted", accepted, n)
	if accepted < n/4 || accepted > n*3/4 {
		t.Errorf("%d of %d accepted: one of the verdicts is rare", accepted, n)
	}
}

// field is a field of a made-up object.
type field struct{ name, value string }

// config is the text of a configuration, most often nearly right.
func (m maker) config() []byte {
	var providers [][]field
	for range usually(m, 8, 1+m.IntN(3), 0) {
		providers = append(providers, m.provider())
	}
	kind, version := usually(m, 60, "CredentialProviderConfig", "KubeletConfiguration", "", "credentialproviderconfig"), usually(m, 40,
		one(m, "kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1beta1", "kubelet.config.k8s.io/v1alpha1"),
		"kubelet.config.k8s.io/v2", "v1", "", "kubelet.config.k8s.io", "credentialprovider.kubelet.k8s.io/v1")
	text := m.render(kind, version, providers)
	switch m.IntN(60) {
	case 0:
		text = "\ufeff" + text
	case 1:
		text = "# comment\n" + text
	case 2:
		text = "---\n" + text
	case 3:
		text += "---\nrubbish: [\n"
	case 4:
		text = "---\n---\n" + text
	case 5:
		text += "...\n"
	case 6:
		text = "%YAML 1.1\n---\n" + text
	case 7:
		text = " \n\t" + text
	case 8:
		text = text[:m.IntN(len(text)+1)]
	case 9:
		at := m.IntN(len(text))
		text = text[:at] + one(m, "\x00", "\xff", "{", "}", ":", "\t", "\"", "'", "- ", "&a ", "*a", "!!str ", "|", "\u2028", "\u00a0") + text[at:]
	case 10:
		at := m.IntN(len(text))
		text = text[:at] + text[min(len(text), at+1+m.IntN(4)):]
	}
	return []byte(text)
}

func (m maker) provider() []field {
	name := usually(m, 30, fmt.Sprintf("p%d", m.IntN(8)), "", ".", "..", "a/b", "a b", "y", "17", "null", "...", "~", `"q"`, "a\tb", "é")
	fields := []field{
		{"name", usually(m, 60, quote(name), name)},
		{"matchImages", m.list(func() string {
			if m.odds(6) {
				return m.pattern()
			}
			return one(m, "*.example.com", "gcr.io", "registry.io:8080/path", "*.*.io")
		}, 1+m.IntN(3))},
		{"defaultCacheDuration", usually(m, 15, one(m, `"0s"`, `"5m"`, "12h", `"1h30m"`), "0", "300", `""`, `"-1s"`, `"-0s"`, `".5s"`, `"1.s"`, `"+5m"`, "null", "true", `"1d"`, `"99999999h"`, "[]", `"1h1h"`)},
		{"apiVersion", quote(usually(m, 30, one(m, "credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1beta1", "credentialprovider.kubelet.k8s.io/v1alpha1"),
			"", "v1", "kubelet.config.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v2"))},
	}
	if m.odds(3) {
		fields = append(fields, field{"args", m.list(func() string { return one(m, "--v=3", "get-credentials", "", "/etc/kubernetes/azure.json") }, m.IntN(3))})
	}
	if m.odds(3) {
		env := make([]string, m.IntN(3))
		for i := range env {
			env[i] = fmt.Sprintf(`{"name": %s, "value": %s}`, quote(one(m, "A", "B", "", "A=B", "A B")), usually(m, 20, quote("x"), "1", "null"))
		}
		fields = append(fields, field{"env", "[" + strings.Join(env, ", ") + "]"})
	}
	if m.odds(4) {
		fields = append(fields, field{"tokenAttributes", m.tokenAttributes()})
	}
	switch m.IntN(40) {
	case 0:
		fields = slices.Delete(fields, 0, 1)
	case 1:
		i := m.IntN(len(fields))
		fields = slices.Delete(fields, i, i+1)
	case 2:
		fields = append(fields, field{one(m, "unknown", "matchimages", "Name", "cacheType", "cachDuration"), `"x"`})
	case 3:
		fields = append(fields, fields[m.IntN(len(fields))])
	case 4:
		i := m.IntN(len(fields))
		fields[i].value = one(m, "null", "1", "true", "[]", "{}", `"x"`, "[1]", "1.5")
	}
	return fields
}

func (m maker) tokenAttributes() string {
	fields := []field{
		{"serviceAccountTokenAudience", quote(usually(m, 12, "sts.example.com", ""))},
		{"cacheType", quote(usually(m, 12, one(m, "ServiceAccount", "Token"), "", "serviceaccount", "Image"))},
		{"requireServiceAccount", usually(m, 12, one(m, "true", "true", "false"), "null", `"true"`)},
	}
	keys := func() string {
		return m.list(func() string {
			return usually(m, 12, one(m, "a", "b", "a.io/role", "A", "a.io/Role"), "", "a/b/c", "-a")
		}, m.IntN(3))
	}
	if m.odds(3) {
		fields = append(fields, field{"requiredServiceAccountAnnotationKeys", keys()})
	}
	if m.odds(3) {
		fields = append(fields, field{"optionalServiceAccountAnnotationKeys", keys()})
	}
	if m.odds(12) {
		i := m.IntN(len(fields))
		fields = slices.Delete(fields, i, i+1)
	}
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(f.name) + ": " + f.value)
	}
	return usually(m, 30, "{"+b.String()+"}", "null", "{}", "[]")
}

func (m maker) list(item func() string, n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = quote(item())
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

// render writes YAML in blocks, or JSON.
func (m maker) render(kind, version string, providers [][]field) string {
	var b strings.Builder
	if m.odds(4) {
		fmt.Fprintf(&b, "{\"apiVersion\": %q, \"kind\": %q, \"providers\": [", version, kind)
		for i, fields := range providers {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n{")
			for j, f := range fields {
				if j > 0 {
					b.WriteString(", ")
				}
				b.WriteString(quote(f.name) + ": " + f.value)
			}
			b.WriteString("}")
		}
		b.WriteString("]}\n")
		return b.String()
	}
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nproviders:\n", version, kind)
	for _, fields := range providers {
		for j, f := range fields {
			b.WriteString(usually(m, 1000, "  ", "   "))
			if j == 0 {
				b.WriteString("- ")
			} else {
				b.WriteString("  ")
			}
			b.WriteString(f.name + ": " + f.value + "\n")
		}
	}
	return b.String()
}

// Directories are read as the kubelet reads them.
func TestDirectories(t *testing.T) {
	m := newMaker(3)
	binDir := t.TempDir()
	accepted, n := 0, scaled(600)
	for range n {
		dir := t.TempDir()
		for range m.IntN(5) {
			name := one(m, "a", "b", "a-b", "a.b", ".hidden", "", "..data", "Z") + one(m, ".yaml", ".yml", ".json", ".yaml", ".YAML", ".bak", ".yaml.bak", "")
			if name == "" {
				continue
			}
			path := filepath.Join(dir, name)
			text := []byte(fmt.Sprintf("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: p%d\n  matchImages: [a.io]\n"+
				"  defaultCacheDuration: 0s\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n", m.IntN(30)))
			if m.odds(15) {
				text = m.config()
			}
			switch m.IntN(30) {
			case 0:
				_ = os.Mkdir(path, 0o700)
			case 1:
				_ = os.Symlink(t.TempDir(), path)
			case 2:
				_ = os.Symlink("dangling", path)
			case 3:
				_ = os.WriteFile(path, nil, 0o600)
			case 4:
				_ = os.WriteFile(path, []byte("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders: []\n"), 0o600)
			case 5, 6, 7:
				elsewhere := filepath.Join(t.TempDir(), "x")
				_ = os.WriteFile(elsewhere, text, 0o600)
				_ = os.Symlink(elsewhere, path)
			default:
				_ = os.WriteFile(path, text, 0o600)
			}
		}
		if compare(t, dir, binDir) {
			accepted++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d accepted", accepted, n)
	if accepted < n/4 || accepted > n*9/10 {
		t.Errorf("%d of %d accepted: one of the verdicts is rare", accepted, n)
	}
	for _, path := range []string{"", filepath.Join(binDir, "nowhere"), binDir} {
		if _, err := kubelet.Load(path); err == nil {
			t.Errorf("%q: no error", path)
		}
		if ok, _ := accepts(t, path, binDir); ok {
			t.Errorf("%q: the kubelet accepts it", path)
		}
	}
}

// The kubelet takes its own version of a configuration, which is no API: it is
// the only thing that the library refuses and the kubelet does not.
func TestInternalVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "apiVersion: kubelet.config.k8s.io/__internal\nkind: CredentialProviderConfig\nProviders:\n- Name: x\n  MatchImages: [a.io]\n" +
		"  APIVersion: credentialprovider.kubelet.k8s.io/v1\n  DefaultCacheDuration: 0s\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if ok, why := accepts(t, path, t.TempDir()); !ok {
		t.Errorf("the kubelet: %v", why)
	}
	if _, err := kubelet.Load(path); err == nil {
		t.Error("no error")
	}
}
