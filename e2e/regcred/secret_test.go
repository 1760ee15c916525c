//go:build linux

package regcred_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"regcred/e2e/cloud/clouds"
)

// secretObject is a Secret.
type secretObject struct {
	APIVersion, Kind, Type string
	Metadata               struct {
		Name, Namespace string
		Annotations     map[string]string
	}
	Data map[string][]byte
}

// dockerAuths is a docker configuration.
type dockerAuths struct {
	Auths map[string]struct{ Username, Password, Auth string }
}

func TestASecretOfWhatThePluginsAnswer(t *testing.T) {
	for _, kind := range clouds.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, kind)
			m.start()
			exit, stdout, stderr := m.run("secret", "create", m.kubeletFlag(), "--name=pull", "-n", "team", "--service-account=app", m.Image(0)+":v1", m.Image(0))
			if exit != 0 {
				t.Fatalf("exit code %d, %s", exit, stderr)
			}
			var secret secretObject
			if err := yaml.Unmarshal([]byte(stdout), &secret); err != nil {
				t.Fatal(err)
			}
			if secret.APIVersion != "v1" || secret.Kind != "Secret" || secret.Type != "kubernetes.io/dockerconfigjson" || secret.Metadata.Name != "pull" || secret.Metadata.Namespace != "team" {
				t.Errorf("made %+v", secret)
			}
			var config dockerAuths
			if err := json.Unmarshal(secret.Data[".dockerconfigjson"], &config); err != nil || len(config.Auths) != 1 {
				t.Fatalf("%v, %d logins", err, len(config.Auths))
			}
			for key, login := range config.Auths {
				if owner, err := m.Whose(m.Image(0), login.Username, login.Password); err != nil || owner != m.Machine.Owner || !strings.HasPrefix(m.Image(0), key) {
					t.Errorf("%s: the login of %s, %v", key, owner, err)
				}
				if plain, _ := base64.StdEncoding.DecodeString(login.Auth); string(plain) != login.Username+":"+login.Password {
					t.Errorf("%s: auth is another login", key)
				}
			}
			expires, err := time.Parse(time.RFC3339, secret.Metadata.Annotations["regcred/expires"])
			if left := time.Until(expires); err != nil || left < time.Minute || left > 24*time.Hour || !strings.Contains(stderr, "warning: the login for ") || !strings.Contains(stderr, expires.UTC().Format(time.RFC3339)) {
				t.Errorf("expires %s, %v, stderr: %s", expires, err, stderr)
			}
			if !strings.Contains(stdout, `kubectl patch serviceaccount app -n team -p '{"imagePullSecrets":[{"name":"pull"}]}'`) {
				t.Error("how the account gets to use it is not told")
			}
			m.noSecret(stderr)
			exit, _, stderr = m.run("secret", "create", m.kubeletFlag(), "registry.example.com")
			if exit != 1 || !strings.Contains(stderr, "no provider of this node has a credential for it") {
				t.Errorf("another's registry: exit code %d, %s", exit, stderr)
			}
		})
	}
}

func TestASecretIsNotMadeOfAFailure(t *testing.T) {
	m := boot(t, clouds.All()[0])
	m.start()
	service, operation, _ := strings.Cut(m.Machine.Fetch, " ")
	m.Cloud.Faults.Always(service, operation, m.Denied)
	exit, stdout, stderr := m.run("secret", "create", m.kubeletFlag(), m.Image(0))
	if exit != 1 || stdout != "" || !strings.Contains(stderr, "provider "+m.Plugin) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d, %q, %s", exit, stdout, stderr)
	}
	for _, args := range [][]string{{}, {"-o", "xml", "a"}, {"--name=A_b", "a"}, {"-n", "", "a"}} {
		if exit, stdout, _ := m.run(append([]string{"secret", "create", m.kubeletFlag()}, args...)...); exit != 2 || stdout != "" {
			t.Errorf("%q: exit code %d, %s", args, exit, stdout)
		}
	}
}

func TestSecretsAreMergedAsTheKubeletDoes(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	auth := func(user, password string) string {
		return `{"auth":"` + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + `"}`
	}
	secret := func(name, config string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: team}\ntype: kubernetes.io/dockerconfigjson\ndata:\n  .dockerconfigjson: " + base64.StdEncoding.EncodeToString([]byte(config)) + "\n"
	}
	first := secret("a", `{"auths":{"registry.io":`+auth("anna", "password-of-anna")+`,"registry.io/team":`+auth("anton", "password-of-anton")+`}}`)
	second := secret("b", `{"auths":{"https://registry.io":`+auth("berta", "password-of-berta")+`,"other.io":`+auth("bob", "password-of-bob")+`}}`)
	both := file("both.yaml", "# kubectl get\n"+first+"---\n"+second)
	plain := file("config.json", `{"auths":{"third.io":`+auth("carl", "password-of-carl")+`,"other.io":`+auth("bob", "password-of-bob")+`}}`)
	opaque := file("opaque.yaml", strings.Replace(first, "kubernetes.io/dockerconfigjson", "Opaque", 1))
	broken := file("broken.yaml", secret("broken", `{"auths":{"registry.io":{"auth":"!"}}}`))

	exit, stdout, stderr := run(t, "", "secret", "merge", both, plain, opaque)
	var config dockerAuths
	if err := json.Unmarshal([]byte(stdout), &config); err != nil || exit != 0 {
		t.Fatalf("exit code %d, %v, %s", exit, err, stderr)
	}
	for key, want := range map[string]string{"registry.io": "anna", "registry.io/team": "anton", "other.io": "bob", "third.io": "carl"} {
		if got := config.Auths[key].Username; got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if len(config.Auths) != 4 {
		t.Errorf("%d logins", len(config.Auths))
	}
	for _, want := range []string{
		"registry.io: user anna of team/a, and user berta of team/b: the kubelet tries the former first",
		"are the same login", "passes over secret team/a, which is of type \"Opaque\"",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("does not say %q: %s", want, stderr)
		}
	}
	exit, text, _ := run(t, "", "secret", "merge", "-o", "text", both, plain)
	if exit != 0 || strings.Contains(text+stderr, "password-of") || strings.Index(text, "registry.io/team") > strings.Index(text, "registry.io ") {
		t.Errorf("exit code %d\n%s%s", exit, text, stderr)
	}

	// A list from kubectl, on stdin, is the same.
	list := map[string]any{"kind": "List", "apiVersion": "v1"}
	var items []any
	for _, document := range []string{first, second} {
		var item any
		if err := yaml.Unmarshal([]byte(document), &item); err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	list["items"] = items
	encoded, _ := json.Marshal(list)
	_, again, _ := run(t, string(encoded), "secret", "merge", "-", plain)
	if again != stdout {
		t.Error("a list makes another configuration")
	}
	var made secretObject
	exit, text, _ = run(t, "", "secret", "merge", "-o", "secret", "--name=pull", both, plain)
	if err := yaml.Unmarshal([]byte(text), &made); err != nil || exit != 0 || made.Metadata.Name != "pull" || string(made.Data[".dockerconfigjson"]) != stdout {
		t.Errorf("exit code %d, %v, %s", exit, err, text)
	}

	for name, args := range map[string][]string{"team/broken": {broken}, "no such file": {dir + "/none"}, "neither a Secret": {file("x.yaml", "kind: ConfigMap\n")}, "no secret in it": {file("empty.yaml", "# nothing\n---\n")}} {
		if exit, stdout, stderr := run(t, "", append([]string{"secret", "merge"}, args...)...); exit != 1 || stdout != "" || !strings.Contains(stderr, name) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q, %q", name, exit, stdout, stderr)
		}
	}
	if exit, _, _ := run(t, "", "secret", "merge", "-o", "yaml", both); exit != 2 {
		t.Errorf("a wrong output: exit code %d", exit)
	}
}
