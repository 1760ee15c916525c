package cloudtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Kubelet configurations that were written for the vendor's plugin keep working.
func (s Suite[F]) commands(t *testing.T) {
	for _, args := range append([][]string{nil, {"--v=2"}, {"-v", "5"}, {"--logtostderr=true", "--stderrthreshold=2", "--vmodule=a=1"}}, s.Commands...) {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			a := n.Ask(n.Own(args...))
			a.Stderr = "" // the log that was asked for
			n.WantLogin(a, n.Image(0), n.Machine.Owner)
			n.WantCalls(n.Machine.Calls)
		})
	}
}

func (s Suite[F]) help(t *testing.T) {
	n := s.boot(t)
	words := append([]string{
		"kind: CredentialProviderConfig", "- name: " + n.Kind.Plugin, "matchImages:",
		"--cache-dir", "--alias", nodeFallback, "--config", "--ca-file", "--log-file", "--identity-scope", "--max-kubelet-cache",
	}, s.Help...)
	for _, flag := range []string{"--help", "-h"} {
		a := n.Write(Question{Args: []string{flag}}, nil)
		if a.Exit != 0 || a.Stderr != "" {
			t.Errorf("%s: exit code %d, %s", flag, a.Exit, a.Stderr)
		}
		for _, want := range words {
			if !strings.Contains(a.Stdout, want) {
				t.Errorf("%s does not show %s", flag, want)
			}
		}
	}
	n.WantCalls()
}

func (s Suite[F]) version(t *testing.T) {
	n := s.boot(t)
	ask := func(flag string) Answer { return n.Write(Question{Args: []string{flag}}, nil) }
	text := ask("--version")
	if text.Exit != 0 || text.Stderr != "" || !strings.HasPrefix(text.Stdout, n.Kind.Plugin+" ") || strings.Count(text.Stdout, "\n") != 1 {
		t.Errorf("exit code %d, %q, %q", text.Exit, text.Stdout, text.Stderr)
	}
	var version struct{ Name, Version, GoVersion, Platform string }
	data := ask("--version=json")
	if err := json.Unmarshal([]byte(data.Stdout), &version); err != nil || data.Exit != 0 || data.Stderr != "" {
		t.Errorf("exit code %d, %v, %q", data.Exit, err, data.Stderr)
	}
	if version.Name != n.Kind.Plugin || version.Version == "" || version.GoVersion == "" || !strings.HasPrefix(version.Platform, "linux/") {
		t.Errorf("%+v", version)
	}
	if !strings.Contains(text.Stdout, version.Version) {
		t.Errorf("%q does not say %s", text.Stdout, version.Version)
	}
	n.WantCalls()
}

// What the operator got wrong is found before anything is asked.
func (s Suite[F]) mistakes(t *testing.T) {
	n := s.boot(t)
	writable := ConfigFile(t, s.Config, "")
	if err := os.Chmod(writable, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, mistake := range append([]Mistake{
		{Name: "unknown flag", Args: []string{"--cach-dir=x"}, Says: "unknown flag: --cach-dir"},
		{Name: "flag without a value", Args: []string{"--cache-dir"}, Says: "--cache-dir"},
		{Name: "version in another form", Args: []string{"--version=yaml"}, Says: "want text or json"},
		{Name: "no such file", Args: []string{"--config=/absent.yaml"}, Says: "/absent.yaml"},
		{Name: "no file but a directory", Args: []string{"--config=/"}, Says: "not a regular file"},
		{Name: "file of everybody's", Args: []string{"--config", writable}, Says: "writable by others"},
		{Name: "not YAML", Args: []string{"--config", File(t, "{")}, Says: "configuration file"},
		{Name: "not ours", Args: []string{"--config", File(t, "kind: Config\n")}, Says: s.Config},
		{Name: "another plugin's", Args: []string{"--config", ConfigFile(t, "OtherCredentialProviderConfig", "")}, Says: s.Config},
		{Name: "unknown field", Config: "cachDir: /x\n", Says: "cachDir"},
		{Name: "field of another type", Config: "aliases: 1\n", Says: "aliases"},
		{Name: "broken alias", Args: []string{"--alias=*.example.com=" + n.Registry(0)}, Says: "alias"},
		{Name: "relative directory", Args: []string{"--cache-dir=cache"}, Says: "cacheDir"},
		{Name: "relative log", Args: []string{"--log-file=log"}, Says: "logFile"},
		{Name: "a second document", Config: "maxKubeletCache: 3m\n...\n---\ncacheDir: /x\n", Says: "configuration file"},
		{Name: "the same key twice", Config: "cacheDir: /x\ncacheDir: /y\n", Says: "line 4"},
		{Name: "broken level", Args: []string{"--log-level=loud"}, Says: "logLevel"},
		{Name: "namespace that is none", Args: []string{nodeFallback + "=Not A Namespace"}, Says: "Not A Namespace"},
		{Name: "variable with a namespace that is none", Env: []string{"REGCRED_NODE_FALLBACK=Not A Namespace"}, Says: "REGCRED_NODE_FALLBACK"},
		{Name: "broken duration", Config: "maxKubeletCache: ten\n", Says: "ten"},
	}, s.Mistakes...) {
		t.Run(mistake.Name, func(t *testing.T) {
			n := n.In(t)
			args := mistake.Args
			if mistake.Config != "" {
				args = append([]string{"--config", ConfigFile(t, s.Config, mistake.Config)}, args...)
			}
			q := n.Own(args...)
			q.Env = append(q.Env, mistake.Env...)
			n.Ask(q).WantFailure(2, mistake.Says)
			n.WantCalls()
		})
	}
}

// A flag wins over a variable, that over the file.
func (s Suite[F]) precedence(t *testing.T) {
	n := s.boot(t)
	file := []string{"--config", ConfigFile(t, s.Config, "maxKubeletCache: 3m\n")}
	for keep, q := range map[time.Duration]Question{
		3 * time.Minute: {Args: file},
		4 * time.Minute: {Args: file, Env: []string{"REGCRED_MAX_KUBELET_CACHE=4m"}},
		5 * time.Minute: {Args: append([]string{"--max-kubelet-cache=5m"}, file...), Env: []string{"REGCRED_MAX_KUBELET_CACHE=4m"}},
	} {
		own := n.Own(q.Args...)
		own.Env = append(own.Env, q.Env...)
		if got := n.WantLogin(n.Ask(own), own.Image, n.Machine.Owner).Keep; got != keep {
			t.Errorf("the kubelet keeps it for %s, want %s", got, keep)
		}
	}
}

// An alias makes a mirror or vanity name get a registry's credential, under the
// name that was asked for. It is a whole host, with its port.
func (s Suite[F]) aliases(t *testing.T) {
	n := s.boot(t)
	registry := n.Registry(0)
	own := n.WantLogin(n.Ask(n.Own()), n.Image(0), n.Machine.Owner)
	n.Cloud.Calls.Reset()
	for _, test := range []struct {
		name, host string
		question   Question
	}{
		{"flag", "mirror.example.com", Question{Args: []string{"--alias", "mirror.example.com=" + registry}}},
		{"flag and port", "mirror.example.com:8443", Question{Args: []string{"--alias", "mirror.example.com:8443=" + registry}}},
		{"case", "Mirror.Example.com", Question{Args: []string{"--alias", "mirror.example.com=" + registry}}},
		{"one of several", "b.example.com", Question{Args: []string{"--alias", "a.example.com=" + n.Registry(1), "--alias", "b.example.com=" + registry}}},
		{"somebody else's registry", "docker.io", Question{Args: []string{"--alias", "docker.io=" + registry}}},
		{"environment", "mirror.example.com", Question{Env: []string{"REGCRED_ALIAS=mirror.example.com=" + registry}}},
		{"file", "mirror.example.com", Question{Args: []string{"--config", ConfigFile(t, s.Config, "aliases:\n  mirror.example.com: "+registry+"\n")}}},
		{"file named by the environment", "mirror.example.com",
			Question{Env: []string{"REGCRED_CONFIG=" + ConfigFile(t, s.Config, "aliases: {mirror.example.com: "+registry+"}\n")}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := n.In(t)
			q := With(n.Question(test.host+"/"+n.Repository), test.question.Args...)
			q.Env = append(q.Env, test.question.Env...)
			if password, _ := n.Ask(q).WantLogin(test.host, n.Username); password != own.Password {
				t.Error("another credential than the registry's")
			}
			n.WantCalls()
		})
	}
	for _, host := range []string{
		"mirror.example.com:5000", "mirror.example.com:443", "a.mirror.example.com", "mirror.example.com.evil.com", "example.com", "notmirror.example.com",
	} {
		t.Run(host, func(t *testing.T) {
			n := n.In(t)
			n.Ask(With(n.Question(host+"/app"), "--alias", "mirror.example.com="+registry)).WantNothing(0, 0)
			n.WantCalls()
		})
	}
	for _, target := range []string{"registry.example.com", n.LookAlike, registry + ":5000"} {
		t.Run("of "+target, func(t *testing.T) {
			n := n.In(t)
			q := With(n.Question("mirror.example.com/app"), "--alias", "mirror.example.com="+target)
			n.Ask(q).WantFailure(1, "mirror.example.com", target, "correct --alias")
			n.WantCalls()
		})
	}
}

// The log goes where the operator wants it.
func (s Suite[F]) log(t *testing.T) {
	n := s.boot(t)
	log := filepath.Join(t.TempDir(), "log")
	a := n.Ask(n.Own("--log-level=info", "--log-file", log))
	response, _ := a.Response()
	for where, text := range map[string]string{"the file": read(t, log), "stderr": a.Stderr} {
		if !strings.Contains(text, "msg=answered") || !strings.Contains(text, n.Image(0)) {
			t.Errorf("%s does not say what was answered: %s", where, text)
		}
		if strings.Contains(text, response.Auth[n.Registry(0)].Password) || Secret(text) != "" {
			t.Errorf("%s holds a secret: %s", where, text)
		}
	}
	info, err := os.Stat(log)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has mode %s, want 0600", info.Mode())
	}
	// A failure is in the file, too.
	service, operation := fetch(n.Machine.Fetch)
	n.Cloud.Faults.Always(service, operation, n.Denied)
	status := fmt.Sprint(n.Denied.Status)
	n.Ask(n.Own("--cache-dir=", "--log-file", log)).WantFailure(1, status)
	if !strings.Contains(read(t, log), status) {
		t.Error("the file does not say the failure")
	}
}

func (s Suite[F]) brokenLog(t *testing.T) {
	n := s.boot(t)
	for _, path := range []string{"/nonexistent/log", "/", "/dev/full"} {
		a := n.Ask(n.Own("--log-file", path))
		if !strings.Contains(a.Stderr, path) {
			t.Errorf("%s: stderr does not say so: %s", path, a.Stderr)
		}
		a.Stderr = ""
		n.WantLogin(a, n.Image(0), n.Machine.Owner)
	}
}
