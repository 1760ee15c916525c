//go:build linux

package regcred_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/cloudtest"
)

// run runs the tool where there is no kubelet of this test's.
func run(t *testing.T, stdin string, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	command := exec.Command(tool, args...)
	var out, errs strings.Builder
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &errs
	command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	_ = command.Run() // The exit code tells.
	return command.ProcessState.ExitCode(), out.String(), errs.String()
}

// want fails the test unless a run has the exit code, and one line on stderr that
// says what is wanted if it failed.
func want(t *testing.T, exit int, says, stdin string, args ...string) string {
	t.Helper()
	got, stdout, stderr := run(t, stdin, args...)
	if got != exit || (exit == 0) != (stderr == "") || !strings.Contains(stdout+stderr, says) {
		t.Errorf("%q: exit code %d, want %d and %q\n%s%s", args, got, exit, says, stdout, stderr)
	}
	return stdout
}

func TestEverySampleIsAConfiguration(t *testing.T) {
	var names []string
	for _, kind := range clouds.All() {
		names = append(names, kind.Name)
	}
	for _, test := range []struct {
		clouds   []string
		identity string
	}{
		{[]string{"aws"}, "node"}, {[]string{"gcp"}, "pod"}, {[]string{"azure"}, "bindings"}, {[]string{"dockerconfig"}, "node"}, {names, "node"}, {names, "pod"},
	} {
		args := append([]string{"config", "print", "--identity", test.identity}, test.clouds...)
		text := want(t, 0, "kind: CredentialProviderConfig", "", args...)
		valid := want(t, 0, "the kubelet starts with it", text, "config", "validate", "-")
		if len(test.clouds) == 1 && !strings.HasSuffix(text, read(t, samplePath(test.clouds[0], test.identity))) {
			t.Errorf("%q prints another sample than the plugin has:\n%s", args, text)
		}
		for _, kind := range clouds.All() {
			if slices.Contains(test.clouds, kind.Name) && !strings.Contains(valid, kind.Plugin) {
				t.Errorf("%q has no %s: %s", args, kind.Plugin, valid)
			}
		}
		var fromYAML, fromJSON any
		if err := yaml.Unmarshal([]byte(text), &fromYAML); err != nil {
			t.Error(err)
		}
		if err := json.Unmarshal([]byte(want(t, 0, "", "", append(args, "-o", "json")...)), &fromJSON); err != nil {
			t.Error(err)
		}
		x, _ := json.Marshal(fromYAML)
		y, _ := json.Marshal(fromJSON)
		if string(x) != string(y) {
			t.Errorf("%q: the JSON is another configuration", args)
		}
		if wantsTokens := strings.Contains(text, "serviceAccountTokenAudience: "); wantsTokens {
			rbac := want(t, 0, "request-serviceaccounts-token-audience", "", append(args, "--rbac")...)
			for line := range strings.Lines(text) {
				if _, audience, found := strings.Cut(line, "serviceAccountTokenAudience: "); found && !strings.Contains(rbac, "  - "+audience) {
					t.Errorf("%q: no grant for %s", args, audience)
				}
			}
			want(t, 0, `"kind": "List"`, "", append(args, "--rbac", "-o", "json")...)
		} else {
			want(t, 2, "nothing to allow", "", append(args, "--rbac")...)
		}
	}
	want(t, 2, "want one of aws, gcp, azure, oracle, ibm, dockerconfig", "", "config", "print", "aliyun")
	want(t, 2, "dockerconfig has node", "", "config", "print", "--identity=pod", "dockerconfig")
	want(t, 2, "", "", "config", "print")
	if exit, stdout, _ := run(t, "", "__complete", "config", "print", "aws", "a"); exit != 0 || !strings.Contains(stdout, "azure\tacr-credential-provider\n") || strings.Contains(stdout, "aws") {
		t.Errorf("completes with %q", stdout)
	}
}

// samplePath is where a plugin has its sample.
func samplePath(cloudName, identity string) string {
	short := map[string]string{"aws": "ecr", "gcp": "gcr", "azure": "acr", "dockerconfig": "dockerconfig"}[cloudName]
	return cloudtest.Path("plugins", short, map[string]string{"pod": "pods"}[identity]+strings.TrimPrefix(identity, "pod")+".yaml")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestValidateSaysEverything(t *testing.T) {
	const broken = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: a/b
  matchImages: ["registry.io:*"]
- name: c
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  defaultCacheDuration: 0s
  matchImages: ["registry.io/*"]
`
	exit, stdout, stderr := run(t, broken, "config", "validate", "-o", "json", "-")
	var v struct {
		Valid    bool
		Problems []struct{ Level, Code, Field, Message, Fix string }
	}
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || exit != 1 || v.Valid || stderr != "" {
		t.Fatalf("exit code %d, %v, %s%s", exit, err, stdout, stderr)
	}
	var fields []string
	for _, problem := range v.Problems {
		fields = append(fields, problem.Level+" "+problem.Field)
		if problem.Message == "" || problem.Code == "" || problem.Fix == "" && problem.Level == "error" {
			t.Errorf("not told what to do: %+v", problem)
		}
	}
	for _, field := range []string{"error providers[0].name", "error providers[0].apiVersion", "error providers[0].defaultCacheDuration", "error providers[0].matchImages[0]", "warning providers[1].matchImages[0]"} {
		if !slices.Contains(fields, field) {
			t.Errorf("nothing is said of %s: %q", field, fields)
		}
	}
	text := wantInvalid(t, broken, "config", "validate", "-")
	if !strings.Contains(text, "the kubelet does not start with it: ") || strings.Count(text, "\n") != len(v.Problems)+1 {
		t.Errorf("as text:\n%s", text)
	}

	good := want(t, 0, "", "", "config", "print", "--identity", "pod", "aws")
	if text := wantInvalid(t, good, "config", "validate", "--kubelet-version", "v1.32.4", "-"); !strings.Contains(text, "tokenAttributes: kubelets before 1.33 do not know it") {
		t.Errorf("for an old kubelet:\n%s", text)
	}
	dir := t.TempDir()
	if text := wantInvalid(t, good, "config", "validate", "--bin-dir", dir, "-"); !strings.Contains(text, filepath.Join(dir, "ecr-credential-provider")) {
		t.Errorf("without the program:\n%s", text)
	}
	if text := wantInvalid(t, "", "config", "validate", dir+"/none.yaml"); !strings.Contains(text, "none.yaml") {
		t.Errorf("no file:\n%s", text)
	}
	want(t, 2, "--kubelet-version", good, "config", "validate", "--kubelet-version=2", "-")
}

// wantInvalid fails the test unless something wrong is told on stdout, with exit code 1.
func wantInvalid(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	got, stdout, stderr := run(t, stdin, args...)
	if got != 1 || stderr != "" {
		t.Errorf("%q: exit code %d, want 1\n%s%s", args, got, stdout, stderr)
	}
	return stdout
}

func TestValidateTheNodesOwn(t *testing.T) {
	m := boot(t, clouds.All()[0])
	m.start()
	exit, stdout, stderr := m.run("config", "validate", m.kubeletFlag())
	if exit != 0 || !strings.Contains(stdout, "the kubelet starts with it: 1 provider (ecr-credential-provider)") || stderr != "" {
		t.Errorf("exit code %d, %s%s", exit, stdout, stderr)
	}
	m.remove("bin/" + m.Plugin)
	if exit, stdout, _ := m.run("config", "validate", m.kubeletFlag()); exit != 1 || !strings.Contains(stdout, "bin/ecr-credential-provider") {
		t.Errorf("without the program: exit code %d, %s", exit, stdout)
	}
	if exit, stdout, stderr := m.runAlone("config", "validate"); exit != 1 || stdout != "" || !strings.Contains(stderr, "--config") {
		t.Errorf("without a kubelet: exit code %d, %s%s", exit, stdout, stderr)
	}
}

func TestMergeKeepsWhatIsOthers(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := file("foreign.json", `{"apiVersion":"kubelet.config.k8s.io/v1beta1","kind":"CredentialProviderConfig","providers":[
		{"name":"other","apiVersion":"credentialprovider.kubelet.k8s.io/v1beta1","matchImages":["quay.io"],"defaultCacheDuration":"1h","args":["-x"],"env":[{"name":"A","value":"b"}]}]}`)
	ours := file("ours.yaml", want(t, 0, "", "", "config", "print", "aws"))
	pods := file("pods.yaml", want(t, 0, "", "", "config", "print", "--identity=pod", "aws"))
	broken := file("broken.yaml", "kind: Config\n")

	merged := want(t, 0, "", "", "config", "merge", foreign, ours, ours)
	var config struct {
		APIVersion string
		Providers  []struct {
			Name, APIVersion, DefaultCacheDuration string
			Args                                   []string
			Env                                    []struct{ Name, Value string }
			TokenAttributes                        *struct{ CacheType string }
		}
	}
	if err := yaml.Unmarshal([]byte(merged), &config); err != nil || len(config.Providers) != 2 || config.APIVersion != "kubelet.config.k8s.io/v1" {
		t.Fatalf("%v, %s", err, merged)
	}
	if p := config.Providers[0]; p.Name != "other" || p.APIVersion != "credentialprovider.kubelet.k8s.io/v1beta1" || p.DefaultCacheDuration != "1h0m0s" || p.Args[0] != "-x" || p.Env[0].Value != "b" {
		t.Errorf("the foreign provider is %+v", p)
	}
	want(t, 0, "the kubelet starts with it: 2 providers (other, ecr-credential-provider)", merged, "config", "validate", "-")

	exit, stdout, stderr := run(t, "", "config", "merge", ours, pods)
	if exit != 1 || stdout != "" || !strings.Contains(stderr, "provider ecr-credential-provider of "+ours+" and of "+pods+" differ in matchImages, tokenAttributes") {
		t.Errorf("a conflict: exit code %d, %s%s", exit, stdout, stderr)
	}
	for prefer, tokens := range map[string]bool{"first": false, "last": true} {
		config.Providers = nil
		exit, stdout, stderr := run(t, "", "config", "merge", "--prefer", prefer, ours, pods)
		if err := yaml.Unmarshal([]byte(stdout), &config); err != nil || exit != 0 || len(config.Providers) != 1 || (config.Providers[0].TokenAttributes != nil) != tokens || !strings.Contains(stderr, "differ in") {
			t.Errorf("--prefer %s: exit code %d, %v, %s%s", prefer, exit, err, stdout, stderr)
		}
	}
	want(t, 1, "broken.yaml", "", "config", "merge", ours, broken)
	want(t, 2, "want first or last", "", "config", "merge", "--prefer=both", ours)
}

func TestConfigDockerNamesWhatIsServed(t *testing.T) {
	config := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(config, []byte(want(t, 0, "", "", "config", "print", "dockerconfig")), 0o600); err != nil {
		t.Fatal(err)
	}
	text := want(t, 0, "", "", "config", "docker", "--config", config, "-o", "docker", "a.registry.example.com")
	var docker struct{ CredHelpers map[string]string }
	if err := json.Unmarshal([]byte(text), &docker); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"registry.example.com", "a.registry.example.com", "docker.io", "https://index.docker.io/v1/"} {
		if docker.CredHelpers[host] != "regcred" {
			t.Errorf("no helper for %s: %s", host, text)
		}
	}
	if len(docker.CredHelpers) != 4 {
		t.Errorf("helpers: %s", text)
	}
	want(t, 0, "credential-helpers = [", "", "config", "docker", "--config", config, "-o", "podman")
	want(t, 0, "regcred config docker REGISTRY", "", "config", "docker", "--config", config)
	want(t, 1, "no provider is for it", "", "config", "docker", "--config", config, "quay.io")
	want(t, 2, "registry", "", "config", "docker", "--config", config, "https://quay.io")
}

func TestShellsCompleteWords(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if exit, stdout, stderr := run(t, "", "completion", shell); exit != 0 || !strings.Contains(stdout, "regcred") || stderr != "" {
			t.Errorf("%s: exit code %d, %d bytes, %s", shell, exit, len(stdout), stderr)
		}
	}
	m := boot(t, clouds.All()[0])
	m.record("sha256:1", `"`+m.Image(0)+`":{"nodePodsAccessible":true}`)
	m.start()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"explain", m.kubeletFlag(), "1234"}, m.Image(0)},
		{[]string{"secret", "create", m.kubeletFlag(), ""}, m.Image(0)},
		{[]string{"explain", "--pull-policy", "N"}, "Never"},
		{[]string{"cache", "list", "--state", ""}, "failed"},
		{[]string{"config", "print", "--identity", "b"}, "bindings"},
		{[]string{"config", "print", ""}, "gcp"},
	} {
		exit, stdout, _ := m.run(append([]string{"__complete"}, test.args...)...)
		var words []string
		for line := range strings.Lines(stdout) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			words = append(words, word)
		}
		if exit != 0 || !slices.Contains(words, test.want) {
			t.Errorf("%q: exit code %d, %q, want %s", test.args, exit, words, test.want)
		}
	}
}
