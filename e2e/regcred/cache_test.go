//go:build linux

package regcred_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

// cacheReport is what is looked at of a report.
type cacheReport struct {
	APIVersion, Kind string
	Notes            []string
	Directories      []struct {
		Directory, Problem string
		Providers          []string
		Entries            []struct{ Kind, State, Caller, Failure string }
		Ignored            []struct{ File, Reason string }
		Removed            *int
	}
}

// cache runs a verb of the cache. The cloud is not asked.
func (m *machine) cache(verb string, args ...string) (exit int, report cacheReport) {
	m.t.Helper()
	before := len(m.Cloud.Calls.All())
	exit, stdout, stderr := m.run(append([]string{"cache", verb, m.kubeletFlag(), "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || len(report.Directories) == 0 || report.APIVersion != "regcred/v1" {
		m.t.Fatalf("exit code %d, %v\n%s%s", exit, err, stdout, stderr)
	}
	m.noSecret(stdout + stderr)
	if asked := len(m.Cloud.Calls.All()) - before; asked != 0 {
		m.t.Errorf("the cloud was asked %d times", asked)
	}
	return exit, report
}

// pull has the tool ask the plugin, as the kubelet does.
func (m *machine) pull(image string, want int) {
	m.t.Helper()
	if exit, _, stderr := m.run("get", m.kubeletFlag(), image); exit != want {
		m.t.Fatalf("exit code %d, %s", exit, stderr)
	}
}

func TestTheCacheIsListedAndPurged(t *testing.T) {
	for _, kind := range clouds.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, kind)
			m.start()
			if exit, report := m.cache("list"); exit != 0 || report.Directories[0].Directory != cloudtest.CacheDir || len(report.Directories[0].Entries) != 0 {
				t.Errorf("before a pull: exit code %d, %+v", exit, report)
			}
			m.pull(m.Image(0), 0)
			exit, report := m.cache("list")
			dir := report.Directories[0]
			if exit != 0 || len(dir.Entries) == 0 || dir.Entries[0].State != "fresh" || len(dir.Providers) != 1 || dir.Providers[0] != kind.Plugin {
				t.Fatalf("exit code %d, %+v", exit, report)
			}
			all := len(dir.Entries)
			if _, report := m.cache("list", "--image", m.Image(0)); len(report.Directories[0].Entries) != all {
				t.Errorf("of the image: %+v, want %d entries", report, all)
			}
			if _, report := m.cache("list", "--image", m.Registry(0), "--state=failed"); len(report.Directories[0].Entries) != 0 {
				t.Errorf("of the registry, failed: %+v", report)
			}
			if _, report := m.cache("purge", "--state=expired"); *report.Directories[0].Removed != 0 {
				t.Errorf("removed what has not expired: %+v", report)
			}
			if _, report := m.cache("purge", "--image", m.Image(0)); *report.Directories[0].Removed != all {
				t.Errorf("removed %d, want %d", *report.Directories[0].Removed, all)
			}
			if exit, stdout, _ := m.run("cache", "purge", m.kubeletFlag()); exit != 0 || stdout != cloudtest.CacheDir+": removed 0 entries\n" {
				t.Errorf("exit code %d, %q", exit, stdout)
			}
			// What was forgotten is asked for again.
			m.Cloud.Calls.Reset()
			m.pull(m.Image(0), 0)
			if len(m.Cloud.Calls.All()) == 0 {
				t.Error("the cloud was not asked again")
			}
			if exit, _, stderr := m.run("cache", "purge", m.kubeletFlag(), "--image=registry.example.com/app"); exit != 1 || !strings.Contains(stderr, "no provider is for it") {
				t.Errorf("another's image: exit code %d, %s", exit, stderr)
			}
		})
	}
}

// A failure that is remembered can be forgotten alone.
func TestFailuresAreListedAndForgotten(t *testing.T) {
	m := boot(t, clouds.All()[0])
	m.start()
	service, operation, _ := strings.Cut(m.Machine.Fetch, " ")
	m.Cloud.Faults.Always(service, operation, m.Denied)
	m.pull(m.Image(0), 1)
	_, report := m.cache("list", "--state=failed")
	if dir := report.Directories[0]; len(dir.Entries) == 0 || dir.Entries[0].Failure == "" {
		t.Fatalf("%+v", report)
	}
	exit, text, _ := m.run("cache", "list", m.kubeletFlag())
	if exit != 0 || !strings.Contains(text, "failed; failed ") || strings.Contains(text, "\x1b") {
		t.Errorf("exit code %d, %s", exit, text)
	}
	if _, report := m.cache("purge", "--state=failed"); *report.Directories[0].Removed == 0 {
		t.Errorf("%+v", report)
	}
	m.Cloud.Faults.Clear()
	m.pull(m.Image(0), 0)
}

// Caches are where the settings of the providers say, and what is not trusted
// there is told.
func TestCachesAreWhereProvidersHaveThem(t *testing.T) {
	m := boot(t, clouds.All()[0])
	own, other := m.path("own"), m.path("other")
	first := m.provider()
	second := map[string]any{}
	for key, value := range first {
		second[key] = value
	}
	m.copy(cloudtest.Binary(m.Plugin), "bin/second-credential-provider")
	second["name"] = "second-credential-provider"
	second["env"] = append([]map[string]string{{"name": "REGCRED_CACHE_DIR", "value": other}}, first["env"].([]map[string]string)...)
	second["tokenAttributes"] = map[string]any{"serviceAccountTokenAudience": "a", "cacheType": "ServiceAccount", "requireServiceAccount": true}
	first["args"] = append(append([]string{}, m.Args...), "--cache-dir="+own)
	cloudtest.Program(t, m.path("bin/foreign-credential-provider"), []byte("#!/bin/sh\nexit 1\n"))
	foreign := map[string]any{"name": "foreign-credential-provider", "apiVersion": fake.V1, "matchImages": []string{"registry.example.com"}, "defaultCacheDuration": "0s"}
	m.config["providers"] = []any{first, second, foreign}
	m.start()
	exit, report := m.cache("list")
	if exit != 0 || len(report.Directories) != 2 || report.Directories[0].Directory != own || report.Directories[1].Directory != other || len(report.Notes) != 0 {
		t.Fatalf("exit code %d, %+v", exit, report)
	}
	m.pull(m.Image(0), 0)
	files, err := filepath.Glob(own + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, report := m.cache("list"); len(report.Directories[0].Ignored) != 1 || report.Directories[0].Ignored[0].Reason == "" {
		t.Errorf("a damaged file is not told: %+v", report)
	}
	if err := os.Chmod(own, 0o777); err != nil {
		t.Fatal(err)
	}
	if exit, report := m.cache("list"); exit != 1 || report.Directories[0].Problem == "" || len(report.Directories[0].Entries) != 0 {
		t.Errorf("open to others: exit code %d, %+v", exit, report)
	}
	if exit, report := m.cache("list", "--cache-dir="+other); exit != 0 || len(report.Directories) != 1 || report.Directories[0].Directory != other {
		t.Errorf("given: exit code %d, %+v", exit, report)
	}
	// Nobody's kubelet: the default.
	exit, stdout, _ := m.runAlone("cache", "list")
	if exit != 0 || !strings.Contains(stdout, cloudtest.CacheDir) || !strings.Contains(stdout, "note: ") {
		t.Errorf("without a kubelet: exit code %d, %s", exit, stdout)
	}
	for _, args := range [][]string{{"cache", "list", "--state=old"}, {"cache", "purge", "--cache-dir=x"}, {"cache", "list", "x"}, {"cache", "list", "-o", "yaml"}} {
		if exit, stdout, stderr := m.run(args...); exit != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q, %q", args, exit, stdout, stderr)
		}
	}
}
