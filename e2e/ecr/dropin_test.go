package ecr_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
)

// Kubelet configurations that were written for the plugin of
// kubernetes/cloud-provider-aws keep working.
func TestTheVendorsCommandLineIsAccepted(t *testing.T) {
	for _, args := range [][]string{
		{"get-credentials"},
		{"get-credentials", "--v=2"},
		{"get-credentials", "--v=2", "--logtostderr"},
		{"--v=4", "get-credentials", "--logtostderr=true", "--skip_headers", "--stderrthreshold=2", "--vmodule=a=1"},
		{"get-credentials", "-v", "5", "--alsologtostderr", "--log_dir=/tmp"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			n := bootNode(t)
			a := n.ask(question{Image: registry + "/app", Args: args})
			a.Stderr = "" // the log that was asked for
			a.wantCredential(registry, nodeRole)
			n.wantCalls(askIMDS, askECR(ecrAPI))
		})
	}
}

// A request is answered in its own version. Only the newest carries a pod's
// identity.
func TestEveryVersionOfTheProtocolIsAnsweredInKind(t *testing.T) {
	for _, version := range []string{"v1", "v1beta1", "v1alpha1"} {
		t.Run(version, func(t *testing.T) {
			n := bootNode(t)
			q := question{APIVersion: "credentialprovider.kubelet.k8s.io/" + version, Image: registry + "/app"}
			n.ask(q).wantCredential(registry, nodeRole)
			q.Image = "registry.k8s.io/pause"
			n.ask(q).WantNothing(0, 0)
		})
	}
	n := bootNode(t)
	n.ask(question{APIVersion: "credentialprovider.kubelet.k8s.io/v2", Image: registry + "/app"}).
		wantFailure(1, "credentialprovider.kubelet.k8s.io/v2", "v1beta1")
	n.wantCalls()
}

func TestHelpShowsAConfigurationOfTheKubelet(t *testing.T) {
	n := bootNode(t)
	for _, flag := range []string{"--help", "-h"} {
		a := n.write(question{Args: []string{flag}}, nil)
		if a.Exit != 0 || a.Stderr != "" {
			t.Errorf("%s: exit code %d, %s", flag, a.Exit, a.Stderr)
		}
		for _, want := range []string{
			"kind: CredentialProviderConfig", "- name: ecr-credential-provider", `"*.dkr.ecr.*.amazonaws.com"`, "public.ecr.aws",
			"--cache-dir", "--role-arn", "$AWS_ECR_ROLE_ARN", "--account", "--alias", "--node-fallback", "--config",
		} {
			if !strings.Contains(a.Stdout, want) {
				t.Errorf("%s does not show %s", flag, want)
			}
		}
	}
	n.wantCalls()
}

func TestTheVersionIsPrinted(t *testing.T) {
	n := bootNode(t)
	text := n.write(question{Args: []string{"--version"}}, nil)
	if text.Exit != 0 || text.Stderr != "" || !strings.HasPrefix(text.Stdout, "ecr-credential-provider ") || strings.Count(text.Stdout, "\n") != 1 {
		t.Errorf("exit code %d, %q, %q", text.Exit, text.Stdout, text.Stderr)
	}
	var version struct{ Name, Version, GoVersion, Platform string }
	data := n.write(question{Args: []string{"--version=json"}}, nil)
	if err := json.Unmarshal([]byte(data.Stdout), &version); err != nil || data.Exit != 0 || data.Stderr != "" {
		t.Errorf("exit code %d, %v, %q", data.Exit, err, data.Stderr)
	}
	if version.Name != "ecr-credential-provider" || version.Version == "" || version.GoVersion == "" || !strings.HasPrefix(version.Platform, "linux/") {
		t.Errorf("%+v", version)
	}
	if !strings.Contains(text.Stdout, version.Version) {
		t.Errorf("%q does not say %s", text.Stdout, version.Version)
	}
}

// What the operator got wrong is found before anything is asked.
func TestAMistakeOfTheOperatorIsExitCode2(t *testing.T) {
	writable := configFile(t, "")
	if err := os.Chmod(writable, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		question
		says string
	}{
		{"unknown flag", question{Args: []string{"--rol-arn=x"}}, "unknown flag: --rol-arn"},
		{"flag without a value", question{Args: []string{"--cache-dir"}}, "--cache-dir"},
		{"version in another form", question{Args: []string{"--version=yaml"}}, "want text or json"},
		{"no such file", question{Args: []string{"--config=/absent.yaml"}}, "/absent.yaml"},
		{"no file but a folder", question{Args: []string{"--config=/"}}, "not a regular file"},
		{"file of everybody's", question{Args: []string{"--config", writable}}, "can be written by"},
		{"not YAML", question{Args: []string{"--config", cloudtest.File(t, "{")}}, "configuration file"},
		{"not ours", question{Args: []string{"--config", cloudtest.File(t, "kind: Config\n")}}, "ECRCredentialProviderConfig"},
		{"unknown field", question{Args: []string{"--config", configFile(t, "rolARN: x\n")}}, "rolARN"},
		{"field of another type", question{Args: []string{"--config", configFile(t, "aliases: 1\n")}}, "aliases"},
		{"broken field", question{Args: []string{"--config", configFile(t, "roleARN: pull\n")}}, "roleARN"},
		{"broken flag", question{Args: []string{"--role-arn=pull"}}, "roleARN"},
		{"broken variable", question{Env: []string{"AWS_ECR_ROLE_ARN=pull"}}, "roleARN"},
		{"broken scope", question{Args: []string{"--identity-scope=node"}}, "identityScope"},
		{"broken alias", question{Args: []string{"--alias=*.example.com=" + registry}}, "alias"},
		{"relative folder", question{Args: []string{"--cache-dir=cache"}}, "cacheDir"},
		{"broken level", question{Args: []string{"--log-level=loud"}}, "logLevel"},
		{"variable that is no boolean", question{Env: []string{"REGCRED_NODE_FALLBACK=perhaps"}}, "REGCRED_NODE_FALLBACK"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			test.Image = registry + "/app"
			n.ask(test.question).wantFailure(2, test.says)
			n.wantCalls()
		})
	}
}

// A flag wins over a variable, that over the file.
func TestTheNearerSettingWins(t *testing.T) {
	n := bootNode(t)
	for name, role := range map[string]string{"flag": shopRole, "variable": batchRole, "file": "arn:aws:iam::123456789012:role/of-file"} {
		n.aws.AddRole(aws.Role{ARN: role, Allow: []aws.Action{aws.ECRToken}, Subjects: []string{shop.Subject()}})
		q := n.pod(shop).question(registry+"/app", "--config", configFile(t, "roleARN: arn:aws:iam::123456789012:role/of-file\n"))
		if name != "file" {
			q.Env = []string{"AWS_ECR_ROLE_ARN=" + batchRole}
		}
		if name == "flag" {
			q.Args = append(q.Args, "--role-arn", shopRole)
		}
		n.ask(q).wantCredential(registry, role)
	}
}

// The log goes where the operator wants it, and says no secret.
func TestTheLog(t *testing.T) {
	n := bootNode(t)
	log := filepath.Join(t.TempDir(), "log")
	a := n.ask(question{Image: registry + "/app", Args: []string{"--log-level=info", "--log-file", log}})
	response, _ := a.Response()
	written := read(t, log)
	for where, text := range map[string]string{"the file": written, "stderr": a.Stderr} {
		if !strings.Contains(text, "msg=answered") || !strings.Contains(text, registry+"/app") {
			t.Errorf("%s does not say what was answered: %s", where, text)
		}
		if strings.Contains(text, response.Auth[registry].Password) || cloudtest.Secret(text) != "" {
			t.Errorf("%s holds a secret: %s", where, text)
		}
	}
	info, err := os.Stat(log)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has mode %s, want 0600", info.Mode())
	}
	n.attach(nodeRole) // and a failure is in the file too
	n.ask(question{Image: registry + "/app", Args: []string{"--cache-dir=", "--log-file", log}}).wantFailure(1, "AccessDeniedException")
	if !strings.Contains(read(t, log), "AccessDeniedException") {
		t.Error("the file does not say the failure")
	}
}

func TestALogThatCannotBeWrittenFailsNothing(t *testing.T) {
	n := bootNode(t)
	for _, path := range []string{"/nonexistent/log", "/", "/dev/full"} {
		a := n.ask(question{Image: registry + "/app", Args: []string{"--log-file", path}})
		if !strings.Contains(a.Stderr, path) {
			t.Errorf("%s: stderr does not say so: %s", path, a.Stderr)
		}
		a.Stderr = ""
		a.wantCredential(registry, nodeRole)
	}
}
