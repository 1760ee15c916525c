//go:build linux

package regcred_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/cloudtest"
)

// doctorReport is what is looked at of a report.
type doctorReport struct {
	APIVersion, Kind, Level, Kubelet string

	Results []struct {
		Code, Name, Check, Level, Subject, Message, Fix string
		Evidence                                        []string
	}
}

// ofTheMachine are checks of what this machine has for the tests' node: its
// journal, and what keeps its clock.
var ofTheMachine = "--skip=journal,clock-unsynchronised"

// doctor runs the tool and reads its report.
func (m *machine) doctor(args ...string) (exit int, report doctorReport) {
	m.t.Helper()
	// An image that the kubelet has pulled as the node, for doctor to try.
	m.record("sha256:"+strings.Repeat("0", 64), `"`+m.Image(0)+`":{"nodePodsAccessible":true}`)
	exit, stdout, stderr := m.run(append([]string{"doctor", "-o", "json", ofTheMachine, m.kubeletFlag()}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		m.t.Fatalf("exit code %d, %v\n%s%s", exit, err, stdout, stderr)
	}
	if report.APIVersion != "regcred/v1" || report.Kind != "DoctorReport" {
		m.t.Errorf("report %s %s", report.APIVersion, report.Kind)
	}
	m.noSecret(stdout + stderr)
	return exit, report
}

func (m *machine) noSecret(text string) {
	m.t.Helper()
	for _, secret := range m.secrets() {
		if strings.Contains(text, secret) {
			m.t.Errorf("a secret is told: %.12s...", secret)
		}
	}
}

// troubles are the names of what is wrong.
func (r doctorReport) troubles() []string {
	var names []string
	for _, result := range r.Results {
		if result.Level == "warning" || result.Level == "error" {
			names = append(names, result.Name)
		}
	}
	return names
}

// text is all that is told of a finding or check.
func (r doctorReport) text(name string) string {
	var b strings.Builder
	for _, result := range r.Results {
		if result.Name == name {
			b.WriteString(strings.Join(append([]string{result.Subject, result.Message, result.Fix}, result.Evidence...), "\n") + "\n")
		}
	}
	return b.String()
}

func TestDoctorOnAHealthyNodeOfEveryCloud(t *testing.T) {
	for _, kind := range clouds.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, kind)
			m.serveRegistry()
			m.start()
			exit, report := m.doctor()
			if troubles := report.troubles(); exit != 0 || len(troubles) > 0 {
				for _, name := range troubles {
					t.Errorf("%s: %s", name, report.text(name))
				}
				t.Fatalf("exit code %d", exit)
			}
			for check, says := range map[string]string{
				"kubelet":       "the kubelet v1.37.2 runs",
				"configuration": "the kubelet accepts the configuration",
				"versions":      "knows what the configuration says",
				"binaries":      kind.Plugin,
				"settings":      "accepts its settings",
				"identity":      "obtained a credential for " + m.Image(0),
				"proxy":         "no proxy is named",
				"clock":         "the clock agrees with that of the API server",
				"cache":         "/run/regcred",
				"registry":      m.Registry(0) + "\nit answers",
				"metrics":       "the kubelet runs with the configuration on disk",
			} {
				if text := report.text(check); !strings.Contains(text, says) {
					t.Errorf("%s does not say %q: %s", check, says, text)
				}
			}
			// The cloud's own clock is looked at, too.
			if strings.Count(report.text("clock"), "the clock agrees") < 2 {
				t.Errorf("clocks: %s", report.text("clock"))
			}
			// What was obtained is in no cache.
			if entries, err := filepath.Glob(m.Cloud.Path("/run/regcred") + "/*"); err != nil || len(entries) > 0 {
				t.Errorf("left in the cache: %q, %v", entries, err)
			}
		})
	}
}

func TestDoctorTellsTheSameInEveryForm(t *testing.T) {
	m := boot(t, clouds.All()[0])
	m.serveRegistry()
	m.start()
	if err := os.Chmod(m.path("bin/"+m.Plugin), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"text", "short", "json"} {
		exit, stdout, stderr := m.run("doctor", "-o", form, ofTheMachine, m.kubeletFlag())
		if exit != 2 || stderr != "" || !strings.Contains(stdout, "RC0404") || !strings.Contains(stdout, "chmod go-w "+m.path("bin/"+m.Plugin)) {
			t.Errorf("%s: exit code %d\n%s%s", form, exit, stdout, stderr)
		}
		if strings.Contains(stdout, "\x1b") {
			t.Errorf("%s: escapes for a terminal where there is none", form)
		}
	}
	for flag, want := range map[string]int{"--fail-on=never": 0, "--fail-on=error": 2, "--skip=RC0404": 0} {
		if exit, stdout, _ := m.run("doctor", flag, ofTheMachine, m.kubeletFlag()); exit != want {
			t.Errorf("%s: exit code %d, want %d\n%s", flag, exit, want, stdout)
		}
	}
	if exit, stdout, _ := m.run("doctor", "cache", "RC08", ofTheMachine, m.kubeletFlag()); exit != 0 || strings.Contains(stdout, "binaries") || !strings.Contains(stdout, "clock") {
		t.Errorf("two checks: exit code %d\n%s", exit, stdout)
	}
	for _, args := range [][]string{{"binary"}, {"--skip=binary"}, {"-o", "yaml"}, {"--fail-on=info"}, {"--before=-1h"}, {"--nothing"}} {
		if exit, stdout, stderr := m.run(append([]string{"doctor", m.kubeletFlag()}, args...)...); exit != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q, %q", args, exit, stdout, stderr)
		}
	}
}

func TestDoctorsBundle(t *testing.T) {
	m := boot(t, clouds.All()[0])
	m.serveRegistry()
	m.start()
	bundle := m.path("doctor.tgz")
	exit, _, stderr := m.run("doctor", "--bundle", bundle, ofTheMachine, m.kubeletFlag())
	if info, err := os.Stat(bundle); exit != 0 || err != nil || info.Mode().Perm() != 0o600 || info.Size() < 500 {
		t.Errorf("exit code %d, %v, %s", exit, err, stderr)
	}
	if exit, _, stderr := m.run("doctor", "kubelet", "--bundle", bundle, m.kubeletFlag()); exit != 1 || !strings.Contains(stderr, "file exists") {
		t.Errorf("a second time: exit code %d, %s", exit, stderr)
	}
}

// Without a kubelet it says so, and what is given is looked at.
func TestDoctorWithoutAKubelet(t *testing.T) {
	m := boot(t, clouds.All()[0])
	m.serveRegistry()
	m.start()
	exit, stdout, stderr := m.run("doctor", "--kubelet-pid=1", ofTheMachine)
	if exit != 1 || !strings.Contains(stderr, "process 1 is no kubelet") || stdout != "" {
		t.Errorf("exit code %d, %s%s", exit, stdout, stderr)
	}
	exit, stdout, stderr = m.runAlone("doctor", ofTheMachine)
	if exit != 2 || stderr != "" || !strings.Contains(stdout, "RC0101 kubelet-missing") || !strings.Contains(stdout, "--bin-dir") {
		t.Errorf("exit code %d, %s%s", exit, stdout, stderr)
	}
	exit, stdout, stderr = m.runAlone("doctor", "binaries", "identity", "--config", m.path("providers.json"), "--bin-dir", m.path("bin"), "--image", m.Image(0), "-o", "json")
	var report doctorReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || exit != 0 {
		t.Fatalf("exit code %d, %v, %s%s", exit, err, stdout, stderr)
	}
	if text := report.text("identity"); !strings.Contains(text, m.Image(0)) || !slices.Equal(report.troubles(), nil) {
		t.Errorf("%s %v", text, report.troubles())
	}
}

// The plugin of docker configurations has no cloud, and is looked at all the same.
func TestDoctorOnANodeWithADockerConfiguration(t *testing.T) {
	m := boot(t, clouds.All()[0])
	m.serveRegistry()
	const plugin = "dockerconfig-credential-provider"
	m.copy(cloudtest.Binary(plugin), "bin/"+plugin)
	m.provider()["name"], m.provider()["args"] = plugin, []string{"--file=" + m.path("docker.json")}
	login := func(password string) {
		m.write("docker.json", `{"auths":{"`+m.Registry(0)+`":{"username":"bot","password":"`+password+`"}}}`)
	}
	login("hunter2-hunter2")
	m.start()
	exit, report := m.doctor()
	if text := report.text("identity"); exit != 0 || !strings.Contains(text, "obtained a credential for "+m.Image(0)) || strings.Contains(text, "hunter2") {
		t.Errorf("exit code %d, %q: %s", exit, report.troubles(), text)
	}
	claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, time.Now().Add(-time.Hour).Unix()))
	login("eyJhbGciOiJub25lIn0." + claims + ".c2ln")
	exit, report = m.doctor("expiry")
	if text := report.text("login-expired"); exit != 2 || !strings.Contains(text, "the password of bot for "+m.Registry(0)) || strings.Contains(text, claims) {
		t.Errorf("exit code %d: %s", exit, text)
	}
}
