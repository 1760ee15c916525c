package replay

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/cmd/regcred/internal/registry"
	"regcred/cmd/regcred/internal/term"
	"regcred/shared/kubelet"
)

const answer = `{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"5m","auth":{"registry.example.com":{"username":"user","password":"the-password-of-the-provider"}}}`

// node has providers whose programs are scripts, by their names.
func node(t *testing.T, scripts map[string]string) Node {
	t.Helper()
	dir := t.TempDir()
	var config strings.Builder
	config.WriteString("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n")
	for _, name := range []string{"first", "second", "other"} {
		script, ok := scripts[name]
		if !ok {
			continue
		}
		pattern := "registry.example.com"
		if name == "other" {
			pattern = "other.example.com"
		}
		config.WriteString("- {name: " + name + ", apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: 1m, matchImages: [" + pattern + "], args: [--own]}\n")
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := kubelet.Parse("config", []byte(config.String()))
	if err != nil {
		t.Fatal(err)
	}
	return Node{Config: parsed, Runner: kubelet.Runner{BinDir: dir, Environ: os.Environ(), Dir: dir}, Files: kubelet.NodeFiles{RootDir: dir, Root: "/", Dir: dir}}
}

func ask(t *testing.T, n Node, r Request) *Replay {
	t.Helper()
	if r.Image == "" {
		r.Image = "registry.example.com/app:v1"
	}
	got, err := n.Ask(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// said is what a registry says to each candidate.
func said(results ...registry.Result) *Pull {
	pull := &Pull{}
	for _, result := range results {
		result.Endpoint.URL = &url.URL{Scheme: "https", Host: "registry.example.com"}
		pull.Results = append(pull.Results, []registry.Result{result})
	}
	return pull
}

func takes() registry.Result { return registry.Result{OK: true} }

func refuses(stage string) registry.Result {
	return registry.Result{Stages: []registry.Stage{{Name: stage, Detail: "why"}}}
}

func TestVerdicts(t *testing.T) {
	gives := "cat > /dev/null; echo '" + answer + "'"
	fails := "echo 'no identity: attach one' >&2; exit 1"
	for _, test := range []struct {
		name    string
		scripts map[string]string
		image   string
		pull    *Pull
		verdict Verdict
		says    string
	}{
		{"one gives one", map[string]string{"first": gives}, "", nil, WithCredential, "pulled with 1 credential of provider first"},
		{"two do", map[string]string{"first": gives, "second": gives}, "", nil, WithCredential, "and others, in turn"},
		{"none is for it", map[string]string{"other": fails}, "", nil, Anonymous, "no provider is for this image"},
		{"one is, and has none", map[string]string{"first": `echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Image","auth":{}}'`}, "", nil, Anonymous, "no credential for it in the answer of first"},
		{"one fails", map[string]string{"first": fails}, "", nil, Failed, "provider first gives nothing, and the kubelet pulls without a credential"},
		{"one fails, and another does not", map[string]string{"first": fails, "second": gives}, "", nil, Failed, "tries 1 credential of others: "},
		{"one fails, and says why", map[string]string{"first": fails}, "", nil, Failed, "no identity: attach one"},
		{"the registry takes it", map[string]string{"first": gives}, "", said(takes()), WithCredential, "the registry takes the credential of provider first"},
		{"the registry takes the second", map[string]string{"first": gives, "second": gives}, "", said(refuses(registry.Token), takes()), WithCredential, "provider second, after it has refused 1"},
		{"the registry takes none", map[string]string{"first": gives}, "", said(refuses(registry.Token)), Refused, "the registry refuses it: token: why"},
		{"the registry wants one", map[string]string{}, "", said(refuses(registry.Manifest)), Refused, "and there is none: manifest: why"},
		{"the registry is not there", map[string]string{"first": gives}, "", said(refuses(registry.DNS)), Unreachable, "cannot be asked: why"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := Node{Files: kubelet.NodeFiles{Root: t.TempDir()}}
			if len(test.scripts) > 0 {
				n = node(t, test.scripts)
			}
			image := ask(t, n, Request{}).Report(nil, test.pull, false)
			if image.Verdict != test.verdict || !strings.Contains(image.Message, test.says) {
				t.Errorf("%s: %s; want %s: %s", image.Verdict, image.Message, test.verdict, test.says)
			}
		})
	}
}

func TestABrokenSecretStopsThePull(t *testing.T) {
	n := node(t, map[string]string{"first": "echo asked > asked"})
	broken := kubelet.Secret{Namespace: "team", Name: "pull", Type: "kubernetes.io/dockerconfigjson", Data: map[string][]byte{".dockerconfigjson": []byte("x")}}
	got := ask(t, n, Request{Secrets: []kubelet.Secret{broken}})
	image := got.Report([]kubelet.Secret{broken}, nil, false)
	if image.Verdict != Failed || !strings.Contains(image.Message, "team/pull") || image.PullSecrets[0].Error == "" || image.Providers[0].Run != nil {
		t.Errorf("%+v", image)
	}
	if _, err := os.Stat(filepath.Join(n.Runner.BinDir, "asked")); err == nil {
		t.Error("a provider was asked")
	}
}

// A plugin of this suite is told to leave its cache alone. Others are not: they
// may not know the flag.
func TestFresh(t *testing.T) {
	script := func(version string) string {
		return "echo \"$@\" >> args; case $1 in --version*) " + version + ";; esac; cat > /dev/null; echo '" + answer + "'"
	}
	n := node(t, map[string]string{
		"first":  script(`echo '{"name":"x","version":"1","goVersion":"go1","platform":"linux/amd64"}'; exit`),
		"second": script("exit 2"),
	})
	got := ask(t, n, Request{Fresh: true})
	if len(got.Foreign) != 1 || got.Foreign[0] != "second" || len(got.Candidates) != 2 {
		t.Errorf("not of this suite: %q; %d candidates", got.Foreign, len(got.Candidates))
	}
	text, err := os.ReadFile(filepath.Join(n.Runner.BinDir, "args"))
	if want := "--version=json\n--own --cache-dir=\n--version=json\n--own\n"; err != nil || string(text) != want {
		t.Errorf("run with %q; want %q", text, want)
	}
	if _, err := n.Ask(t.Context(), Request{Image: "registry.example.com/App"}); err == nil {
		t.Error("an image that is none")
	}
}

func TestWhatIsShown(t *testing.T) {
	n := node(t, map[string]string{"first": "cat > /dev/null; printf 'a\\033[31mwarning\\n' >&2; echo '" + answer + "'", "other": "exit 1"})
	r := ask(t, n, Request{})
	shown := func(reveal bool) string {
		var b strings.Builder
		report := Report{APIVersion: APIVersion, Kind: Kind, Kubelet: "process 1", Config: "/config", BinDir: "/bin", For: "pod a/b", Notes: []string{"a note"}, Images: []ImageReport{r.Report(nil, nil, reveal)}}
		report.Print(term.New(&b, func(string) string { return "" }))
		text, err := report.JSON()
		if err != nil {
			t.Fatal(err)
		}
		return b.String() + string(text)
	}
	const password = "the-password-of-the-provider"
	if text := shown(false); strings.Contains(text, password) || strings.Contains(text, "\x1b") || !strings.Contains(text, "[redacted] of 28 bytes") {
		t.Error(text)
	}
	if text := shown(true); strings.Count(text, password) < 4 {
		t.Error(text)
	}
	text, err := Response("credentialprovider.kubelet.k8s.io/v1", r.Outcomes[0].Response)
	if err != nil {
		t.Fatal(err)
	}
	if again, problems := kubelet.DecodeResponse("credentialprovider.kubelet.k8s.io/v1", text); len(problems.At(kubelet.Warning)) > 0 || again.Auth[0].Password.Reveal() != password {
		t.Errorf("%v", problems)
	}
}
