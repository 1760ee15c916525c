package kubelet_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/kubelet/wire"
	"regcred/shared/dockerconfig"
)

const dockerconfigPlugin = "dockerconfig-credential-provider"

// everyHost are patterns for the hosts below.
var everyHost = []string{"*", "*.*", "*.*.*", "*.*.*.*", "*.*.*.*.*", "*:5000", "*.*:5000", "*.*.*:5000", "*.*.*.*:5000", "*.*.*:443"}

// startDockerconfig starts kubelet with the plugin, which reads the files of a
// root directory and of no other place.
func startDockerconfig(t *testing.T) (kubelet *kubelet, rootDir string) {
	t.Helper()
	cloudtest.New(t) // an empty cache, and nobody to ask
	rootDir = t.TempDir()
	config, err := json.Marshal(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig",
		"providers": []map[string]any{{
			"name": dockerconfigPlugin, "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
			"defaultCacheDuration": "10m", "matchImages": everyHost, "args": []string{"--root-dir=" + rootDir},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return startKubelet(t, path), rootDir
}

// both looks images up in the node's docker configuration by kubelet's own way,
// and by the plugin.
func (k *kubelet) both(rootDir string, images ...string) (native, ours []wire.Answer) {
	k.t.Helper()
	lookups := staticPods(images...)
	ours = k.lookup(lookups...).Answers
	for i := range lookups {
		lookups[i].RootDir = rootDir
	}
	return k.lookup(lookups...).Answers, ours
}

// text is an answer as people read it.
func text(credentials []wire.Credential) string {
	var all []string
	for _, c := range credentials {
		all = append(all, c.Username+":"+c.Password)
	}
	return strings.Join(all, ", ")
}

// Kubelet's own code finds the same login in the same file, by itself and through
// the plugin, whatever the file's keys and whatever it has been a moment ago. Of
// the logins that kubelet would try in turn, the plugin's is the first.
func TestTheSameLoginIsInTheSameFile(t *testing.T) {
	const files, seed = 250, 13
	k, rootDir := startDockerconfig(t)
	random := rand.New(rand.NewPCG(seed, 0))
	found := 0
	for number := range files {
		keys := randomKeys(random)
		name, content := randomFile(random, keys)
		for _, old := range []string{"config.json", ".dockercfg"} {
			_ = os.Remove(filepath.Join(rootDir, old)) // it may not be there
		}
		if err := os.WriteFile(filepath.Join(rootDir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		images := randomImages(random, keys)
		native, ours := k.both(rootDir, images...)
		for i, image := range images {
			want := ""
			if len(native[i].Credentials) > 0 {
				want = text(native[i].Credentials[:1])
				found++
			}
			if got := text(ours[i].Credentials); got != want {
				t.Errorf("file %d, %s: the plugin's login is %q, want %q of %s\n%s", number, image, got, want, text(native[i].Credentials), content)
			}
		}
	}
	if found < files {
		t.Errorf("%d lookups found something, want as many as files at least", found)
	}
	t.Logf("%d lookups found a login", found)
}

// parts of hosts and paths that fit each other now and then.
var (
	someHosts = []string{
		"reg.example.com", "a.example.com", "b.example.com", "example.com", "reg.example.com:5000", "a.example.com:5000", "reg.example.com:443", "10.0.0.9", "10.0.0.9:5000",
		"REG.example.com", "docker.io", "quay.io", "registry-1.docker.io", "a.b.example.com", "myreg.azurecr.io",
	}
	someGlobs = []string{"*.example.com", "r*.example.com", "*.*.com", "*.example.*", "*.example.com:5000", "10.0.0.*", "*", "*.*", "*.io", "?.example.com", "[ab].example.com", "*eg.example.com", "index.docker.io"}
	somePaths = []string{"", "", "", "/", "/team", "/team/", "/team/app", "/te", "/library", "/library/nginx", "/v1/", "/v2/", "/v1", "/v2/team", "/v1/team/app", "/team-b"}
)

func one(random *rand.Rand, from []string) string { return from[random.IntN(len(from))] }

// randomKeys are keys no two of which are for the same: of those kubelet takes
// any first.
func randomKeys(random *rand.Rand) []string {
	var keys, patterns []string
	for range 1 + random.IntN(6) {
		hosts := someHosts
		if random.IntN(3) == 0 {
			hosts = someGlobs
		}
		key := one(random, []string{"", "", "https://", "http://", "HTTPS://"}) + one(random, hosts) + one(random, somePaths)
		if random.IntN(6) == 0 {
			key = "https://index.docker.io/v1/"
		}
		pattern, ok := dockerconfig.Pattern(key)
		if ok && slices.Contains(patterns, pattern) {
			continue
		}
		keys, patterns = append(keys, key), append(patterns, pattern)
	}
	return keys
}

// randomFile is a file of either form, with a login for each key.
func randomFile(random *rand.Rand, keys []string) (name string, content []byte) {
	auths := map[string]any{}
	for i, key := range keys {
		username, password := fmt.Sprintf("user%d", i), fmt.Sprintf("pass:%d+/=%s", i, strings.Repeat("x", random.IntN(3)))
		encoded := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
		entry := map[string]any{"auth": encoded}
		switch random.IntN(5) {
		case 0:
			entry = map[string]any{"username": username, "password": password, "email": "jane@example.com"}
		case 1:
			entry["username"], entry["password"] = "other", "other"
		case 2:
			entry["auth"] = strings.TrimRight(encoded, "=")
		case 3:
			entry = map[string]any{"AUTH": encoded, "identitytoken": "a token", "more": 1}
		}
		auths[key] = entry
	}
	name = "config.json"
	document := map[string]any{"auths": auths, "HttpHeaders": map[string]string{"X-Meta": "x"}, "psFormat": "x", "credHelpers": map[string]string{"other.example.net": "none"}}
	if random.IntN(4) == 0 {
		name, document = ".dockercfg", auths
	}
	content, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings
	}
	return name, content
}

// randomImages are images that the keys may be for, and others.
func randomImages(random *rand.Rand, keys []string) []string {
	images := []string{"nginx"}
	for range 5 {
		host := one(random, someHosts)
		if key := one(random, keys); random.IntN(2) == 0 && !strings.ContainsAny(key, "*?[") {
			host, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://"), "/")
		}
		if strings.HasPrefix(host, "HTTPS:") || host == "index.docker.io" {
			host = "docker.io"
		}
		images = append(images, host+"/"+one(random, []string{"app", "team/app", "team/app/sub", "team-b/app", "library/nginx", "tea", "other/app:v1"}))
	}
	return images
}

// Where the plugin differs, it is on purpose, and written down.
func TestWhereThePluginDiffers(t *testing.T) {
	login := func(text string) string { return `{"auth":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"}` }
	for name, tc := range map[string]struct {
		config, cfg  string
		image        string
		native, ours string
	}{
		"localhost is not Docker Hub":         {config: `{"auths":{"https://index.docker.io/v1/":` + login("hub:pw") + `}}`, image: "localhost/app", native: "hub:pw"},
		"a file without logins is no end":     {config: `{"credsStore":""}`, cfg: `{"reg.example.com":` + login("old:pw") + `}`, image: "reg.example.com/app", ours: "old:pw"},
		"the second file counts too":          {config: `{"auths":{"two.example.com":` + login("two:pw") + `}}`, cfg: `{"reg.example.com":` + login("old:pw") + `}`, image: "reg.example.com/app", ours: "old:pw"},
		"a broken entry is in nobody's way":   {config: `{"auths":{"a.example.com":{"auth":"%"},"reg.example.com":` + login("jane:pw") + `}}`, image: "reg.example.com/app", ours: "jane:pw"},
		"the old form in the new file":        {config: `{"reg.example.com":` + login("jane:pw") + `}`, image: "reg.example.com/app", ours: "jane:pw"},
		"the new form in the old file":        {cfg: `{"auths":{"reg.example.com":` + login("jane:pw") + `}}`, image: "reg.example.com/app", ours: "jane:pw"},
		"an entry with a token is no login":   {config: `{"auths":{"reg.example.com":{"identitytoken":"t"}}}`, image: "reg.example.com/app", native: ":"},
		"an empty entry is no login":          {config: `{"auths":{"reg.example.com/team":{},"reg.example.com":` + login("jane:pw") + `}}`, image: "reg.example.com/team/app", native: ":, jane:pw", ours: "jane:pw"},
		"the first of several":                {config: `{"auths":{"*.example.com":` + login("glob:pw") + `,"reg.example.com":` + login("jane:pw") + `}}`, image: "reg.example.com/app", native: "jane:pw, glob:pw", ours: "jane:pw"},
		"a broken file is in nobody's way":    {config: `{"auths":`, cfg: `{"reg.example.com":` + login("old:pw") + `}`, image: "reg.example.com/app", native: "old:pw", ours: "old:pw"},
		"what a repeated object says, counts": {config: `{"auths":{"a.example.com":` + login("a:pw") + `},"AUTHS":{"reg.example.com":` + login("jane:pw") + `}}`, image: "reg.example.com/app", native: "jane:pw", ours: "jane:pw"},
	} {
		t.Run(name, func(t *testing.T) {
			k, rootDir := startDockerconfig(t)
			for file, content := range map[string]string{"config.json": tc.config, ".dockercfg": tc.cfg} {
				if content == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(rootDir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			native, ours := k.both(rootDir, tc.image)
			if got := text(native[0].Credentials); got != tc.native {
				t.Errorf("kubelet itself finds %q, want %q", got, tc.native)
			}
			if got := text(ours[0].Credentials); got != tc.ours {
				t.Errorf("the plugin finds %q, want %q", got, tc.ours)
			}
		})
	}
}

// Kubelet keeps nothing of what it is answered: the next lookup finds what the
// file says by then.
func TestKubeletFindsAChangeAtOnce(t *testing.T) {
	k, rootDir := startDockerconfig(t)
	for _, password := range []string{"first", "other", "third"} {
		content := fmt.Sprintf(`{"auths":{"reg.example.com":{"username":"jane","password":%q}}}`, password)
		if err := os.WriteFile(filepath.Join(rootDir, "config.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, image := range []string{"reg.example.com/app", "reg.example.com/other"} {
			if done := k.pull(image); text(done.Answers[0].Credentials) != "jane:"+password {
				t.Errorf("%s: got %s, want the password %s", image, text(done.Answers[0].Credentials), password)
			}
		}
	}
}

// The sample of the documentation starts kubelet, and gets what the node's files
// say.
func TestTheSampleForDockerConfigurations(t *testing.T) {
	cloudtest.New(t)
	configs := configurations(t, "../../docs/dockerconfig.md", dockerconfigPlugin)
	if len(configs) == 0 {
		t.Fatal("the page shows no configuration")
	}
	file := filepath.Join(t.TempDir(), "docker.json")
	if err := os.WriteFile(file, []byte(`{"auths":{"registry.example.com":{"username":"jane","password":"secret"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, config := range configs {
		path := filepath.Join(t.TempDir(), "config.yaml")
		config = strings.NewReplacer("# args:", "args:", "# - --file=/etc/kubernetes/docker/config.json", "- --file="+file).Replace(config)
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		done := startKubelet(t, path).pull("registry.example.com/app", "quay.io/app")
		if got := text(done.Answers[0].Credentials); got != "jane:secret" || done.Answers[1].Found {
			t.Errorf("got %q and %+v", got, done.Answers[1])
		}
		if len(done.Log) != 0 || done.PluginRuns[dockerconfigPlugin] != 1 {
			t.Errorf("kubelet ran it %d times and logged %q", done.PluginRuns[dockerconfigPlugin], done.Log)
		}
	}
}
