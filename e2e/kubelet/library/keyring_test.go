package library_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
	"k8s.io/kubernetes/pkg/util/parsers"

	"regcred/shared/credential"
	"regcred/shared/kubelet"
)

// tried is a credential that an image would be pulled with.
type tried struct{ secret, username, password string }

// key is that of a credential: about the image, most often.
func (m maker) key(name string) string {
	host, path, _ := strings.Cut(name, "/")
	key := host
	switch m.IntN(6) {
	case 0:
		key = near(m, name)
	case 1:
		key = m.pattern()
	case 2:
		key = host + "/" + path[:m.IntN(len(path)+1)]
	case 3:
		key = one(m, "index.docker.io", "https://index.docker.io/v1/", "https://index.docker.io/v1", "docker.io", "registry-1.docker.io", "localhost", "index.docker.io/v2/", "index.docker.io/")
	}
	return usually(m, 3, "", "https://", "http://", "HTTPS://", "oci://", "user@") + key + usually(m, 3, "", "/", "/v1/", "/v2/", "/v2", "/v1/x", "?x", "#x")
}

// docker is the text of a docker configuration.
func (m maker) docker(name string, wrapped bool) string {
	var entries []string
	for range m.IntN(5) {
		entries = append(entries, quote(m.key(name))+": "+m.entry())
	}
	if len(entries) > 0 && m.odds(10) {
		entries = append(entries, entries[0])
	}
	text := "{" + strings.Join(entries, ", ") + "}"
	if wrapped {
		text = "{" + quote(usually(m, 12, "auths", "Auths", "AUTHS", "auth")) + ": " + text
		if m.odds(12) {
			text += `, "auths": {` + quote(m.key(name)) + ": " + m.entry() + "}"
		}
		text += usually(m, 5, "", `, "credsStore": "desktop"`, `, "HttpHeaders": {"A": "B"}`, `, "HttpHeaders": {"A": 1}`, `, "HttpHeaders": null`, `, "psFormat": 1`) + "}"
	}
	switch m.IntN(40) {
	case 0:
		return one(m, "null", "", "[]", "{}", `"x"`, "{", "\ufeff{}", text+text, " "+text+"\n")
	case 1:
		return text[:m.IntN(len(text)+1)]
	}
	return text
}

func (m maker) entry() string {
	n := m.IntN(1000)
	username, password := fmt.Sprintf("user-%d", n), usually(m, 6, fmt.Sprintf("password-%d", n), "", "with:colon")
	auth := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	switch m.IntN(30) {
	case 0:
		return one(m, "null", "{}", `{"auth": ""}`, `{"auth": null}`, `{"identitytoken": "t"}`, `{"identitytoken": 1, "username": "u", "password": "p"}`, `{"email": 1}`, `"x"`, "[]", "1")
	case 1:
		return fmt.Sprintf(`{"auth": %q}`, one(m, "!!!", "dXNlcg==", "dXNlcg", " "+auth, auth+" ", auth+`\n`, auth+"=", strings.TrimRight(auth, "="), auth[:len(auth)/2]+`\n`+auth[len(auth)/2:]))
	case 2:
		return fmt.Sprintf(`{"auth": "%s"}`, one(m, auth+`\n`, auth[:len(auth)/2]+`\n`+auth[len(auth)/2:], auth+`\r\n`, auth+`\t`, `\n`+auth))
	case 3:
		return fmt.Sprintf(`{"Username": %q, "PASSWORD": %q, "email": "a@b"}`, username, password)
	case 4:
		return fmt.Sprintf(`{"username": "other", "password": "other", "auth": %q}`, auth)
	case 5, 6, 7, 8, 9, 10:
		return fmt.Sprintf(`{"username": %q, "password": %q}`, username, password)
	}
	return fmt.Sprintf(`{"auth": %q}`, auth)
}

// Pull secrets, docker files and answers give the same credentials in the same
// order.
func TestKeyrings(t *testing.T) {
	m := newMaker(4)
	n := scaled(10_000)
	compared, several, refused, chances := 0, 0, 0, 0
	for i := range n {
		name := m.name(t)
		got, gotErr, want, wantErr := m.keyrings(t, name)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%d: got %v, want %v", i, gotErr, wantErr)
		}
		if gotErr != nil {
			refused++
			continue
		}
		chances += compareOrder(t, name, got, want)
		compared++
		if len(got) > 1 {
			several++
		}
	}
	t.Logf("%d compared, %d with several credentials, %d refused, %d left to chance", compared, several, refused, chances)
	if compared < n/2 || several < n/5 || refused < n/50 || chances == 0 {
		t.Errorf("little was compared")
	}
}

func (m maker) name(t *testing.T) string {
	t.Helper()
	for {
		if name, _, _, err := parsers.ParseImageName(m.image()); err == nil {
			return name
		}
	}
}

// keyrings asks both for a pod with some secrets on a node with some files and
// answers.
func (m maker) keyrings(t *testing.T, name string) (got []kubelet.Candidate, gotErr error, want []tried, wantErr error) {
	t.Helper()
	var ours kubelet.Keyring
	var theirs []core.Secret
	for i := range m.IntN(4) {
		secret := kubelet.Secret{Namespace: "ns", Name: fmt.Sprintf("s%d", i), UID: fmt.Sprintf("uid-%d", i), Data: map[string][]byte{}}
		switch wrapped := m.odds(2); m.IntN(12) {
		case 0:
			secret.Type, secret.Data[".dockerconfigjson"] = "Opaque", []byte(m.docker(name, true))
		case 1:
			secret.Type, secret.Data[".dockercfg"] = "kubernetes.io/dockerconfigjson", []byte(m.docker(name, true))
		case 2:
			secret.Type, secret.Data[".dockercfg"] = "kubernetes.io/dockercfg", []byte(m.docker(name, true))
		default:
			secret.Type, secret.Data[".dockercfg"] = "kubernetes.io/dockercfg", []byte(m.docker(name, false))
			if wrapped {
				secret.Type, secret.Data[".dockerconfigjson"] = "kubernetes.io/dockerconfigjson", []byte(m.docker(name, true))
			}
		}
		theirs = append(theirs, core.Secret{ObjectMeta: meta.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name, UID: types.UID(secret.UID)}, Type: core.SecretType(secret.Type), Data: secret.Data})
		if err := ours.AddSecret(secret); err != nil && gotErr == nil {
			gotErr = err
		}
		for _, p := range secret.Problems() {
			if p.Level == kubelet.Error && gotErr == nil {
				t.Fatalf("%s: %s, and it was added", secret.Data, p)
			}
		}
	}

	files, paths, oldPaths := m.files(t, name)
	node := files.Read()
	ours.AddFile(node)
	config, err := credentialprovider.ReadDockerConfigJSONFile(paths)
	if err != nil {
		config, err = credentialprovider.ReadDockercfgFile(oldPaths)
	}
	if (err == nil) != (node.Path != "") {
		t.Fatalf("node's file: got %q, %v; want %v", node.Path, node.Problems, err)
	}
	var nodeRing, pluginRing credentialprovider.BasicDockerKeyring
	nodeRing.Add(nil, config)

	for i := range m.IntN(3) {
		answer, response := credentialprovider.DockerConfig{}, kubelet.Response{}
		for range m.IntN(4) {
			answer[m.key(name)] = credentialprovider.DockerConfigEntry{Username: fmt.Sprint(m.IntN(1000)), Password: fmt.Sprint(m.IntN(1000))}
		}
		for _, key := range slices.Sorted(maps.Keys(answer)) {
			response.Auth = append(response.Auth, kubelet.Auth{Key: key, Username: answer[key].Username, Password: credential.NewSecret(answer[key].Password)})
		}
		pluginRing.Add(nil, answer)
		provider := &kubelet.Provider{}
		provider.Name = fmt.Sprintf("p%d", i)
		ours.AddOutcome(kubelet.Outcome{Provider: provider, Response: &response})
	}

	ring, wantErr := secrets.MakeDockerKeyring(theirs, credentialprovider.UnionDockerKeyring{&nodeRing, &pluginRing})
	if wantErr == nil {
		found, _ := ring.Lookup(name)
		for _, c := range found {
			w := tried{username: c.Username, password: c.Password}
			if c.Source != nil {
				w.secret = c.Source.Secret.Namespace + "/" + c.Source.Secret.Name
			}
			want = append(want, w)
		}
	}
	return ours.Candidates(name), gotErr, want, wantErr
}

// compareOrder compares what is tried, in its order. Neighbours whose order the
// library says is left to chance may be in any. It returns how many there are.
func compareOrder(t *testing.T, name string, got []kubelet.Candidate, want []tried) (chances int) {
	t.Helper()
	list := make([]tried, len(got))
	for i, c := range got {
		list[i] = tried{username: c.Username, password: c.Password.Reveal()}
		if c.Origin.Kind == kubelet.PullSecret {
			list[i].secret = c.Origin.Name
		}
	}
	order := func(a, b tried) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	whole := slices.Clone(want)
	if len(list) == len(want) {
		for from := 0; from < len(got); {
			to := from + 1
			for to < len(got) && got[from].Chance && got[to].Chance && got[to].Pattern == got[from].Pattern && got[to].Origin == got[from].Origin {
				to++
			}
			slices.SortFunc(list[from:to], order)
			slices.SortFunc(want[from:to], order)
			if to-from > 1 {
				chances += to - from
			} else if got[from].Chance {
				t.Fatalf("image %s: a credential alone, and its order is left to chance: %+v", name, got)
			}
			from = to
		}
	}
	if !slices.Equal(list, want) {
		t.Fatalf("image %s:\ngot  %+v\nwant %+v", name, got, whole)
	}
	return chances
}

// files writes some of the eight files of a node. The paths are those of the
// kubelet's two functions.
func (m maker) files(t *testing.T, name string) (files kubelet.NodeFiles, json, old []string) {
	t.Helper()
	if !m.odds(4) {
		// No file at all: to make directories takes time.
		return kubelet.NodeFiles{Root: "/nowhere"}, []string{"/nowhere"}, []string{"/nowhere"}
	}
	root := t.TempDir()
	files = kubelet.NodeFiles{Root: root, RootDir: "/var/lib/kubelet", Dir: "/work", Home: usually(m, 3, "/root", "")}
	for i, path := range files.Paths() {
		if m.odds(3) {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			switch text := m.docker(name, i < 4 != m.odds(8)); m.IntN(12) {
			case 0:
				_ = os.Mkdir(path, 0o700)
			default:
				_ = os.WriteFile(path, []byte(text), 0o600)
			}
		}
		if i < 4 {
			json = append(json, filepath.Dir(path))
		} else {
			old = append(old, filepath.Dir(path))
		}
	}
	return files, json, old
}

// The paths are the kubelet's own.
func TestNodePaths(t *testing.T) {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip("the kubelet's code read $HOME when this program started: ", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	credentialprovider.SetPreferredDockercfgPath("/var/lib/kubelet")
	var want []string
	for _, d := range credentialprovider.DefaultDockerConfigJSONPaths() {
		path, err := filepath.Abs(filepath.Join(d, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, path)
	}
	for _, d := range credentialprovider.DefaultDockercfgPaths() {
		path, err := filepath.Abs(filepath.Join(d, ".dockercfg"))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, path)
	}
	if got := (kubelet.NodeFiles{Dir: dir, Home: home}).Paths(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What secrets are merged into gives an image the credential that would have
// been the first.
func TestMerge(t *testing.T) {
	m := newMaker(5)
	merged := 0
	for range scaled(5_000) {
		name := m.name(t)
		var before, after kubelet.Keyring
		ok := true
		for i := range 1 + m.IntN(3) {
			text := m.docker(name, true)
			err := before.AddSecret(kubelet.Secret{Name: fmt.Sprint(i), Type: "kubernetes.io/dockerconfigjson", Data: map[string][]byte{".dockerconfigjson": []byte(text)}})
			ok = ok && err == nil
		}
		if !ok {
			continue
		}
		text, err := before.MergeSecrets().ConfigJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := after.AddSecret(kubelet.Secret{Type: "kubernetes.io/dockerconfigjson", Data: map[string][]byte{".dockerconfigjson": text}}); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		was, is := before.Candidates(name), after.Candidates(name)
		if len(was) == 0 != (len(is) == 0) {
			t.Fatalf("%s: %+v became %+v", name, was, is)
		}
		if len(was) == 0 {
			continue
		}
		merged++
		if was[0].Username != is[0].Username || was[0].Password.Reveal() != is[0].Password.Reveal() {
			t.Fatalf("%s: %+v became %+v", name, was, is)
		}
		for _, c := range is {
			if c.Chance {
				t.Fatalf("%s: left to chance after merging: %+v", name, is)
			}
		}
	}
	if merged < scaled(1_000) {
		t.Errorf("%d merged", merged)
	}
}

// The docker configurations that say by their names what the kubelet does with
// them are right.
func TestNamedDockerConfigs(t *testing.T) {
	paths, err := filepath.Glob("../../../shared/kubelet/testdata/docker/*.json")
	if err != nil || len(paths) < 20 {
		t.Fatal(err, len(paths))
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = credentialprovider.ReadDockerConfigJSONFile([]string{dir})
		if ok := strings.HasPrefix(filepath.Base(path), "ok-"); ok != (err == nil) {
			t.Errorf("%s: the kubelet: %v", path, err)
		}
	}
}
