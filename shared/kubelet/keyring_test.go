package kubelet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regcred/shared/credential"
	"regcred/shared/kubelet"
)

func pullSecret(name, text string) kubelet.Secret {
	return kubelet.Secret{Namespace: "ns", Name: name, Type: "kubernetes.io/dockerconfigjson", Data: map[string][]byte{".dockerconfigjson": []byte(text)}}
}

// auths is a docker configuration in which each key has a user of its name.
func auths(keys ...string) string {
	entries := make([]string, len(keys))
	for i, key := range keys {
		entries[i] = fmt.Sprintf(`%q: {"username": %q, "password": "p"}`, key, key)
	}
	return `{"auths": {` + strings.Join(entries, ", ") + `}}`
}

// outcome is an answer of a provider.
func outcome(provider string, keys ...string) kubelet.Outcome {
	p := &kubelet.Provider{}
	p.Name = provider
	r := &kubelet.Response{}
	for _, key := range keys {
		r.Auth = append(r.Auth, kubelet.Auth{Key: key, Username: key, Password: credential.NewSecret("p")})
	}
	return kubelet.Outcome{Provider: p, Response: r}
}

// Secrets come before the node's file, and that before providers. Within each
// the more exact key comes first, whoever has it, and of equal keys the first
// that was added.
func TestOrder(t *testing.T) {
	for _, tc := range []struct {
		name    string
		image   string
		secrets []string
		file    string
		answers []kubelet.Outcome
		want    []string
	}{
		{
			"kinds", "r.example.com/team/app", []string{auths("*.example.com")}, auths("r.example.com"), []kubelet.Outcome{outcome("p", "r.example.com/team/app")},
			[]string{"pull secret ns/0 *.example.com", "docker file FILE r.example.com", "provider p r.example.com/team/app"},
		},
		{
			"keys", "r.example.com/team/app", []string{auths("r.example.com", "*.example.com", "r.example.com/team", "r.*.com"), auths("r.example.com/team/app", "r.example.com")}, "", nil,
			[]string{"pull secret ns/1 r.example.com/team/app", "pull secret ns/0 r.example.com/team", "pull secret ns/0 r.example.com", "pull secret ns/1 r.example.com", "pull secret ns/0 r.*.com", "pull secret ns/0 *.example.com"},
		},
		{
			"providers", "r.example.com/app", nil, "", []kubelet.Outcome{outcome("first", "*.example.com", "r.example.com"), outcome("second", "r.example.com")},
			[]string{"provider first r.example.com", "provider second r.example.com", "provider first *.example.com"},
		},
		{
			"Docker Hub, for each kind", "docker.io/library/busybox", []string{auths("https://index.docker.io/v1/", "docker.io")}, auths("https://index.docker.io/v1/"), []kubelet.Outcome{outcome("p", "index.docker.io")},
			[]string{"pull secret ns/0 docker.io", "docker file FILE https://index.docker.io/v1/", "provider p index.docker.io"},
		},
		{
			"Docker Hub, for localhost too", "localhost/app", []string{auths("https://index.docker.io/v1/")}, "", []kubelet.Outcome{outcome("p", "localhost")},
			[]string{"pull secret ns/0 https://index.docker.io/v1/", "provider p localhost"},
		},
		{"Docker Hub, without a slash", "docker.io/library/busybox", []string{auths("https://index.docker.io/v1", "registry-1.docker.io")}, "", nil, nil},
		{"nothing", "r.example.com/app", []string{auths("example.com")}, auths("r.example.com:443"), []kubelet.Outcome{outcome("p")}, nil},
		{
			"odd keys", "r.example.com/p", []string{auths("user@r.example.com", "r.example.com?x", "r.example.com/p#x", "HTTPS://r.example.com", "oci://r.example.com", "https://r.example.com/v2/p", "%zz")}, "", nil,
			[]string{"pull secret ns/0 https://r.example.com/v2/p *", "pull secret ns/0 r.example.com/p#x *", "pull secret ns/0 r.example.com?x *", "pull secret ns/0 user@r.example.com *"},
		},
	} {
		var keyring kubelet.Keyring
		for i, text := range tc.secrets {
			if err := keyring.AddSecret(pullSecret(fmt.Sprint(i), text)); err != nil {
				t.Fatal(err)
			}
		}
		dir := t.TempDir()
		if tc.file != "" {
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			keyring.AddFile(kubelet.NodeFiles{RootDir: dir, Dir: "/nowhere", Home: "/nowhere"}.Read())
		}
		for _, o := range tc.answers {
			keyring.AddOutcome(o)
		}
		var got []string
		for _, c := range keyring.Candidates(tc.image) {
			line := strings.Replace(c.Origin.String(), filepath.Join(dir, "config.json"), "FILE", 1) + " " + c.Username
			if c.Chance {
				line += " *"
			}
			got = append(got, line)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.name, got, tc.want)
		}
	}
}

// One secret that cannot be read stops everything; one of another type does
// not.
func TestSecrets(t *testing.T) {
	var keyring kubelet.Keyring
	if err := keyring.AddSecret(pullSecret("bad", `{"auths": {"r.example.com": {"auth": "swordfish"}}}`)); err == nil ||
		err.Error() != "secret ns/bad: docker configuration: auth not in base64" {
		t.Errorf("got %v", err)
	}
	opaque := pullSecret("opaque", "rubbish")
	opaque.Type = "Opaque"
	old := kubelet.Secret{Namespace: "ns", Name: "old", Type: "kubernetes.io/dockercfg", Data: map[string][]byte{".dockercfg": []byte(`{"r.example.com": {"username": "u", "password": "p"}}`)}}
	swapped := kubelet.Secret{Namespace: "ns", Name: "swapped", Type: "kubernetes.io/dockercfg", Data: map[string][]byte{".dockerconfigjson": []byte(auths("r.example.com"))}}
	for _, s := range []kubelet.Secret{opaque, old, swapped} {
		if err := keyring.AddSecret(s); err != nil {
			t.Error(err)
		}
	}
	if got := keyring.Candidates("r.example.com/a"); len(got) != 1 || got[0].Origin.Name != "ns/old" {
		t.Errorf("got %+v", got)
	}
	for _, s := range []kubelet.Secret{opaque, swapped} {
		if p := s.Problems(); len(p) != 1 || p[0].Code != "secret-type" || p[0].File != s.String() {
			t.Errorf("%s: %v", s, p)
		}
	}
}

// The first file that can be read is the only one, even if it has no login.
func TestNodeFiles(t *testing.T) {
	root := t.TempDir()
	files := kubelet.NodeFiles{Root: root, Home: "/root"}
	paths := files.Paths()
	want := []string{"/var/lib/kubelet/config.json", "/config.json", "/root/.docker/config.json", "/.docker/config.json", "/var/lib/kubelet/.dockercfg", "/.dockercfg", "/root/.dockercfg", "/.dockercfg"}
	for i := range want {
		want[i] = filepath.Join(root, want[i])
	}
	if !slices.Equal(paths, want) {
		t.Errorf("got %q", paths)
	}
	if got := files.Read(); got.Path != "" || len(got.Problems) > 0 {
		t.Errorf("got %+v", got)
	}
	for i, text := range map[int]string{6: `{"r.example.com": {"username": "u", "password": "p"}}`, 3: `{"credsStore": "desktop"}`, 2: `{"auths": 1}`, 1: auths("other.example.com")} {
		if err := os.MkdirAll(filepath.Dir(paths[i]), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(paths[i], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		remove int
		path   string
		codes  []string
	}{
		{1, paths[1], nil},
		{3, paths[3], []string{"docker-file-unreadable", "docker-helper"}},
		{2, paths[6], []string{"docker-file-unreadable"}},
		{6, paths[6], nil},
		{0, "", nil},
	} {
		got := files.Read()
		var codes []string
		for _, p := range got.Problems {
			codes = append(codes, p.Code)
		}
		if got.Path != step.path || !slices.Equal(codes, step.codes) {
			t.Errorf("got %+v, want %+v", got, step)
		}
		if step.remove > 0 {
			if err := os.Remove(paths[step.remove]); err != nil {
				t.Fatal(err)
			}
		}
	}
	bare := kubelet.NodeFiles{RootDir: "/k", Dir: "/cwd"}.Paths()
	if bare[2] != "/cwd/.docker/config.json" || bare[6] != "/cwd/.dockercfg" || bare[0] != "/k/config.json" {
		t.Errorf("without HOME: %q", bare)
	}
}

// What is merged has one credential for a pattern, and says what it has no
// place for.
func TestMergeSecrets(t *testing.T) {
	var keyring kubelet.Keyring
	for i, text := range []string{
		`{"auths": {"https://index.docker.io/v1/": {"auth": "aHViOnN3b3JkZmlzaC0x"}, "r.example.com": {"username": "one", "password": "swordfish-1"}}}`,
		`{"auths": {"https://r.example.com": {"username": "two", "password": "swordfish-2"}, "r.example.com/team": {"username": "team", "password": "swordfish-3"}}}`,
		`{"auths": {"r.example.com/": {"username": "one", "password": "swordfish-1"}, "x.example.com": {}, "https://x.example.com": {"username": "x", "password": "y"}}}`,
	} {
		if err := keyring.AddSecret(pullSecret(fmt.Sprint(i), text)); err != nil {
			t.Fatal(err)
		}
	}
	merged := keyring.MergeSecrets()
	var got []string
	for _, a := range merged.Auths {
		got = append(got, a.Key)
	}
	if want := []string{"https://x.example.com", "r.example.com/team", "r.example.com", "https://index.docker.io/v1/"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	got = nil
	for _, c := range merged.Conflicts {
		got = append(got, fmt.Sprintf("%s of %s, not %s of %s: same %t, chance %t", c.Kept.Key, c.Kept.Origin.Name, c.Lost.Key, c.Lost.Origin.Name, c.Same, c.Chance))
	}
	if want := []string{
		"https://x.example.com of ns/2, not x.example.com of ns/2: same false, chance true",
		"r.example.com of ns/0, not https://r.example.com of ns/1: same false, chance false",
		"r.example.com of ns/0, not r.example.com/ of ns/2: same true, chance false",
	}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if told := fmt.Sprintf("%+v", merged); strings.Contains(told, "swordfish") {
		t.Error(told)
	}
	text, err := merged.ConfigJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "auths": {
    "https://index.docker.io/v1/": {
      "username": "hub",
      "password": "swordfish-1",
      "auth": "aHViOnN3b3JkZmlzaC0x"
    },`
	if !strings.HasPrefix(string(text), want) {
		t.Errorf("got %s", text)
	}
	if _, err := kubelet.ConfigJSON([]kubelet.Auth{{Key: "r.example.com", Username: "a:b"}}); err == nil {
		t.Error("a user name with a colon")
	}
}
