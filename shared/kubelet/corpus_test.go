package kubelet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"regcred/shared/kubelet"
)

// golden compares what a test came to with a file, which UPDATE_GOLDEN=1
// writes.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	wanted, lines := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(wanted), len(lines)) {
		var a, b string
		if i < len(wanted) {
			a = wanted[i]
		}
		if i < len(lines) {
			b = lines[i]
		}
		if a != b {
			t.Errorf("%s, line %d:\ngot  %s\nwant %s", path, i+1, b, a)
			return
		}
	}
}

func list(b *strings.Builder, name string, problems kubelet.Problems) {
	if len(problems) == 0 {
		fmt.Fprintf(b, "%s: fine\n", name)
	}
	for _, p := range problems {
		p.File = ""
		fmt.Fprintf(b, "%s: %s %s: %s\n", name, p.Level, p.Code, p)
	}
}

// The names of the files say what the kubelet does with them: ok, or bad.
// e2e/kubelet asks the kubelet itself.
func TestConfigs(t *testing.T) {
	paths, err := filepath.Glob("testdata/config/*.*")
	if err != nil || len(paths) == 0 {
		t.Fatal(err, len(paths))
	}
	var b strings.Builder
	for _, path := range paths {
		name := filepath.Base(path)
		if name == "problems.txt" {
			continue
		}
		config, err := kubelet.Load(path)
		if ok := strings.HasPrefix(name, "ok-"); ok != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		list(&b, name, config.Problems)
		if err == nil {
			roundTrip(t, config)
		}
	}
	golden(t, "testdata/config/problems.txt", b.String())
}

// roundTrip holds the encoder to the decoder.
func roundTrip(t *testing.T, config *kubelet.Config) {
	t.Helper()
	text, err := config.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := kubelet.Parse("again.yaml", text)
	if err != nil {
		t.Errorf("%s: written again: %v", config.Path, err)
		return
	}
	second, err := again.YAML()
	if err != nil || string(second) != string(text) {
		t.Errorf("%s: written twice: %v\n%s\n%s", config.Path, err, text, second)
	}
}

// The names say what the kubelet does with the answers: ok, bad, or none for
// one that it takes and gets nothing for the image from.
func TestAnswers(t *testing.T) {
	paths, err := filepath.Glob("testdata/answer/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal(err, len(paths))
	}
	const image = "registry.example.com/app"
	provider := &kubelet.Provider{}
	provider.Name, provider.APIVersion = "answer", "credentialprovider.kubelet.k8s.io/v1"
	provider.DefaultCacheDuration = &metav1.Duration{Duration: time.Hour}
	dir := t.TempDir()
	var b strings.Builder
	for _, path := range paths {
		name := filepath.Base(path)
		absolute, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		log := "echo log >&2"
		if name == "ok-plain.json" {
			log = "echo log hunter2-hunter2 >&2"
		}
		script(t, filepath.Join(dir, "answer"), "cat >/dev/null; "+log+"; cat '"+absolute+"'")
		outcome := kubelet.Runner{BinDir: dir}.Ask(t.Context(), provider, image, kubelet.Pod{})
		if bad := strings.HasPrefix(name, "bad-"); bad != (outcome.Err != nil) {
			t.Errorf("%s: %v", name, outcome.Err)
		}
		var keyring kubelet.Keyring
		keyring.AddOutcome(outcome)
		candidates := keyring.Candidates(image)
		if ok := strings.HasPrefix(name, "ok-"); ok != (len(candidates) > 0) {
			t.Errorf("%s: %+v", name, candidates)
		}
		list(&b, name, outcome.Problems)
		secretFree(t, name, fmt.Sprintf("%+v %+v %v", outcome, candidates, outcome.Problems))
		if name == "ok-plain.json" && !strings.Contains(outcome.Stderr, "log [redacted]") {
			t.Errorf("stderr %q", outcome.Stderr)
		}
	}
	golden(t, "testdata/answer/problems.txt", b.String())
}

// secretFree fails the test if something is told of the secrets in the files.
func secretFree(t *testing.T, name, told string) {
	t.Helper()
	for _, secret := range []string{"hunter2", "another-secret", "also-a-secret", "12345678"} {
		if strings.Contains(told, secret) {
			t.Errorf("%s: %s is told: %s", name, secret, told)
		}
	}
}

// The names say what the kubelet does with the docker configurations: ok or
// bad, as config.json, and as a secret.
func TestDockerConfigs(t *testing.T) {
	paths, err := filepath.Glob("testdata/docker/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal(err, len(paths))
	}
	var b strings.Builder
	for _, path := range paths {
		name := filepath.Base(path)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		secret := kubelet.Secret{Namespace: "ns", Name: name, Type: "kubernetes.io/dockerconfigjson", Data: map[string][]byte{".dockerconfigjson": text}}
		auths, used, err := secret.Auths()
		ok := strings.HasPrefix(name, "ok-")
		if len(text) > 0 && (!used || ok != (err == nil)) {
			t.Errorf("%s: %t, %v", name, used, err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		node := kubelet.NodeFiles{RootDir: dir, Root: "/", Dir: "/nowhere", Home: "/nowhere"}.Read()
		if found := node.Path != ""; found != ok {
			t.Errorf("%s: %+v", name, node)
		}
		problems := secret.Problems()
		list(&b, name, problems)
		secretFree(t, name, fmt.Sprintf("%+v %v %+v %v", auths, err, node, problems))
	}
	golden(t, "testdata/docker/problems.txt", b.String())
}

// script writes a program.
func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil { //nolint:gosec // It is run.
		t.Fatal(err)
	}
}
