package kubelet_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regcred/shared/kubelet"
)

// configuration has a provider for each name.
func configuration(names ...string) string {
	var b strings.Builder
	b.WriteString("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n")
	for _, name := range names {
		fmt.Fprintf(&b, "- name: %s\n  matchImages: [%s.example.com]\n  defaultCacheDuration: 0s\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n", name, name)
	}
	return b.String()
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// codes are those of problems, with the file's name and the field.
func codes(problems kubelet.Problems) []string {
	var all []string
	for _, p := range problems {
		all = append(all, strings.TrimSpace(filepath.Base(p.File)+" "+p.Code+" "+p.Field))
	}
	return all
}

// A directory is read in the order of names, with nothing but the three
// extensions. ConfigMaps, whose files are links, work.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "..2026_11_26")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, data, map[string]string{"b.yml": configuration("linked")})
	for link, to := range map[string]string{"..data": "..2026_11_26", "b.yml": "..data/b.yml"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{
		"a.yaml": configuration("plain"), "a-b.yaml": configuration("hyphen"), ".yaml": configuration("hidden"), "z.json": `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[]}`,
		"c.YAML": "rubbish", "a.yaml.bak": "rubbish", "README": "rubbish",
	})
	config, err := kubelet.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names, files []string
	for _, p := range config.Providers {
		names = append(names, p.Name)
	}
	hash := sha256.New()
	for _, f := range config.Files {
		files = append(files, filepath.Base(f.Path))
		text, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		_ = binary.Write(hash, binary.BigEndian, uint64(len(text)))
		_, _ = hash.Write(text)
	}
	if want := []string{"hidden", "hyphen", "plain", "linked"}; !slices.Equal(names, want) {
		t.Errorf("providers %q", names)
	}
	if want := []string{".yaml", "a-b.yaml", "a.yaml", "b.yml", "z.json"}; !slices.Equal(files, want) {
		t.Errorf("files %q", files)
	}
	if want := "sha256:" + hex.EncodeToString(hash.Sum(nil)); config.Hash != want {
		t.Errorf("hash %s, want %s", config.Hash, want)
	}
	if got, want := codes(config.Problems), []string{"c.YAML file-extension", "sub.yaml file-directory"}; !slices.Equal(got, want) {
		t.Errorf("problems %q", got)
	}
	if p := config.Provider("linked"); p == nil || filepath.Base(p.File) != "b.yml" || p.Index != 0 {
		t.Errorf("got %+v", p)
	}
}

// Problems of all files are told at once, where the kubelet stops at the first.
func TestAllProblems(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"a.yaml": configuration("one", "two") + "- name: three\n", "b.yaml": "", "c.json": "{", "d.yaml": configuration("two"),
	})
	if err := os.Symlink("nowhere", filepath.Join(dir, "e.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "f.yaml")); err != nil {
		t.Fatal(err)
	}
	config, err := kubelet.Load(dir)
	want := []string{
		"b.yaml config-empty", "c.json config-syntax", "e.yaml config-not-found", "f.yaml config-unreadable",
		"a.yaml api-version-missing providers[2].apiVersion", "a.yaml match-images-missing providers[2].matchImages", "a.yaml cache-duration-missing providers[2].defaultCacheDuration",
		"d.yaml name-duplicate providers[0].name",
	}
	if got := codes(config.Problems); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	invalid, ok := errors.AsType[*kubelet.InvalidError](err)
	if !ok || len(invalid.Problems) != len(want) || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "; and ") != len(want)-1 {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(err.Error(), `name "two" again, after providers[1].name of `+filepath.Join(dir, "a.yaml")) {
		t.Errorf("got %v", err)
	}
	if len(config.Providers) != 4 || config.Hash != "" {
		t.Errorf("got %+v", config)
	}
}

// What is no configuration at all is an error with the path in it.
func TestLoadNothing(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 16<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"": "no path of a configuration", filepath.Join(dir, "nowhere"): "read the configuration: no such file or directory", big: "larger than 16 MiB",
		empty: "no file .json, .yaml or .yml in the directory", os.DevNull: "not a regular file",
	} {
		config, err := kubelet.Load(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || config == nil || len(config.Providers) > 0 {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// The error of a file that cannot be decoded has nothing of what is in it: env
// may hold secrets.
func TestNoValuesInErrors(t *testing.T) {
	for _, text := range []string{
		"apiVersion: kubelet.config.k8s.io/v1\nproviders:\n- env: [{name: TOKEN, value: swordfish-1}]\n",
		"kind: CredentialProviderConfig\nproviders:\n- env: [{name: TOKEN, value: swordfish-1}]\n",
		configuration("a") + "  env: [{name: TOKEN, value: {swordfish-1: x}}]\n",
		configuration("a") + "  env: [{name: TOKEN, value: swordfish-1, extra: swordfish-1}]\n",
		configuration("a") + "  env: [{name: TOKEN, value: swordfish-1}, {name: TOKEN, value: \"swordfish-1\\0\"}]\n",
		configuration("a") + "  env:\n  - name: TOKEN\n    value: swordfish-1\n   bad: x\n",
		configuration("a") + "  env:\n  - name: TOKEN\n    value: *swordfish-1\n",
		configuration("a") + "  env:\n  - name: TOKEN\n    value: &swordfish-1 *swordfish-1\n",
		configuration("a") + "  env:\n  - name: TOKEN\n    value: &swordfish-1 [*swordfish-1]\n",
		configuration("a") + "  env:\n  - name: TOKEN\n    value: !swordfish-1 x\n  - {}\n  x: y\n",
		configuration("a") + "  env:\n  - name: TOKEN\n    value: !!swordfish-1 [x]\n",
		configuration("a") + "  env:\n  - name: TOKEN\n    value: %swordfish-1\n",
		configuration("a") + "  env:\n  - name: TOKEN\n    value: !!int swordfish-1\n",
		configuration("a") + "  env:\n  - name: TOKEN\n    value: !!binary swordfish-1\n",
		configuration("a") + "  env:\n  - name: TOKEN\n    value: !!float \"swordfish-1\"\n",
	} {
		config, err := kubelet.Parse("c.yaml", []byte(text))
		if told := fmt.Sprint(err, config.Problems); strings.Contains(told, "swordfish") || len(config.Problems) == 0 {
			t.Errorf("%s", told)
		}
	}
}

// What older kubelets refuse.
func TestCheckVersion(t *testing.T) {
	token := configuration("a") + "  tokenAttributes: {serviceAccountTokenAudience: sts, cacheType: Token, requireServiceAccount: false}\n"
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.yaml": token})
	gate := map[string]bool{"KubeletServiceAccountTokenForCredentialProviders": true}
	for _, tc := range []struct {
		minor int
		gates map[string]bool
		want  []string
	}{
		{37, nil, nil},
		{34, nil, nil},
		{37, map[string]bool{"KubeletServiceAccountTokenForCredentialProviders": false}, []string{"a.yaml version-token-gate providers[0].tokenAttributes"}},
		{33, gate, []string{"D version-directory", "a.yaml version-cache-type providers[0].tokenAttributes.cacheType"}},
		{33, nil, []string{"D version-directory", "a.yaml version-token-gate providers[0].tokenAttributes", "a.yaml version-cache-type providers[0].tokenAttributes.cacheType"}},
		{32, nil, []string{"D version-directory", "a.yaml version-token providers[0].tokenAttributes"}},
		{25, nil, []string{"D version-directory", "a.yaml version-api apiVersion", "a.yaml version-protocol providers[0].apiVersion", "a.yaml version-token providers[0].tokenAttributes"}},
	} {
		config, err := kubelet.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := codes(config.CheckVersion(tc.minor, tc.gates))
		for i := range got {
			got[i] = strings.Replace(got[i], filepath.Base(dir), "D", 1)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("1.%d %v: got %q", tc.minor, tc.gates, got)
		}
	}
}
