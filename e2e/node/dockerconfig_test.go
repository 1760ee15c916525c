package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/node/registry"
)

// dockerconfig is a node without a cloud, whose registries have a password each.
// Docker configurations and a credential helper know them.
type dockerconfig struct {
	*node
	file, helpers string
}

// passwordOf is what jane has at a registry.
func passwordOf(host string) string { return "password-for-" + host }

const (
	jane = "jane"

	dockerconfigPlugin = "dockerconfig-credential-provider"
)

func bootDockerconfig(t *testing.T) *dockerconfig {
	t.Helper()
	d := &dockerconfig{file: filepath.Join(place.Dir, "docker", "config.json"), helpers: filepath.Join(place.Dir, "helpers")}
	own := row{style: func(string) registry.Style { return registry.Style{Service: "registry"} }}
	d.node = bootRow(t, own, fake.Kind{Name: "dockerconfig", Plugin: dockerconfigPlugin, Boot: func(c *cloud.Cloud) (*fake.Node, error) {
		return &fake.Node{
			Kind:   fake.Kind{Name: "dockerconfig", Plugin: dockerconfigPlugin},
			Cloud:  c,
			Issuer: oidc.NewCluster("https://kubernetes.default.svc"),
			Args:   []string{"--file=" + d.file, "--helper-path=" + d.helpers},
			Registry: func(number int) string {
				return fmt.Sprintf("r%d.registry.example.com", number)
			},
			Repository: "team",
			LookAlike:  "r0.registry.example.com.evil.com",
			Whose: func(image, username, password string) (string, error) {
				if host, _, _ := strings.Cut(image, "/"); username != jane || password != passwordOf(host) {
					return "", fmt.Errorf("not a login of %s", host)
				}
				return jane, nil
			},
			Machine: fake.Identity{Owner: jane},
		}, nil
	}})
	d.setConfig(`{}`)
	return d
}

// setConfig writes the docker configuration.
func (d *dockerconfig) setConfig(text string) { d.write(d.file, text, 0o600) }

func (d *dockerconfig) write(path, text string, mode os.FileMode) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		d.t.Fatal(err)
	}
}

// loginFor is a configuration with one login.
func loginFor(host, username, password string) string {
	return fmt.Sprintf(`{"auths": {%q: {"username": %q, "password": %q}}}`, host, username, password)
}

// A real kubelet pulls from a registry that wants a password, with what a docker
// configuration has: a login, one that was put right, and what a helper prints.
func TestADockerConfigurationOfTheNode(t *testing.T) {
	d := bootDockerconfig(t)
	own := ownRegistry + "/app:v1"
	d.push(own)
	d.startKubelet("node.yaml")

	d.setConfig(loginFor(ownRegistry, ownUser, ownPassword))
	d.pulls("plain", own)
	if !slices.ContainsFunc(d.Cloud.Calls.Of(registry.Service, "GetManifest"), func(call cloud.Call) bool {
		return call.Host == ownRegistry && registry.Shown(call) == "Basic"
	}) {
		t.Error("the registry was shown no password")
	}

	d.write(filepath.Join(d.helpers, "docker-credential-test"), `#!/bin/sh
read server
echo '{"ServerURL":"'$server'","Username":"`+jane+`","Secret":"password-for-'$server'"}'
`, 0o755)
	d.setConfig(`{"credHelpers": {"*.registry.example.com": "test"}}`)
	d.pulls("helper", d.newImage())

	// The wrong password is refused. The kubelet tries again by itself, and finds
	// the right one without a restart.
	image := d.newImage()
	d.setConfig(loginFor(host(image), jane, "wrong"))
	d.writeStatic(newPod("", "corrected", image))
	d.eventually("the wrong password is refused", func() string {
		if pod := d.staticPod("corrected"); pod == nil || pullFailure(pod) == "" {
			return "there is no failure yet"
		}
		return ""
	})
	if !d.registryRefused(host(image)) {
		t.Error("the registry has refused nothing")
	}
	d.setConfig(loginFor(host(image), jane, passwordOf(host(image))))
	d.eventually("the right one is found", func() string { return whyNotRunning(d.staticPod("corrected")) })

	// What a helper says when it fails is in the kubelet's log.
	d.write(filepath.Join(d.helpers, "docker-credential-sealed"), "#!/bin/sh\necho the vault is sealed\nexit 1\n", 0o755)
	image = d.newImage()
	d.setConfig(`{"credHelpers": {"*.registry.example.com": "sealed"}}`)
	d.writeStatic(newPod("", "sealed", image))
	d.eventually("the pull is refused", func() string {
		if pod := d.staticPod("sealed"); pod == nil || pullFailure(pod) == "" {
			return "there is no failure yet"
		}
		return ""
	})
	d.wantComplaint(image, "docker-credential-sealed, which "+d.file, "has failed: the vault is sealed")
	d.reportMetrics()
	if _, err := os.Stat(cloudtest.CacheDir); err != nil {
		t.Errorf("what the helper said was not kept: %v", err)
	}
}

// pulls runs a static pod.
func (d *dockerconfig) pulls(name, image string) {
	d.t.Helper()
	d.writeStatic(newPod("", name, image))
	d.eventually("pod "+name+" runs", func() string { return whyNotRunning(d.staticPod(name)) })
}
