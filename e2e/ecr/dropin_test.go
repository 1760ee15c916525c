package ecr_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/e2e/cloud/aws"
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
			a := n.ask(question{image: registry + "/app", args: args})
			a.stderr = "" // the log that was asked for
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
			q := question{apiVersion: "credentialprovider.kubelet.k8s.io/" + version, image: registry + "/app"}
			n.ask(q).wantCredential(registry, nodeRole)
			q.image = "registry.k8s.io/pause"
			n.ask(q).wantNothing(0, 0)
		})
	}
	n := bootNode(t)
	n.ask(question{apiVersion: "credentialprovider.kubelet.k8s.io/v2", image: registry + "/app"}).
		wantFailure(1, "credentialprovider.kubelet.k8s.io/v2", "v1beta1")
	n.wantCalls()
}

func TestHelpShowsAConfigurationOfTheKubelet(t *testing.T) {
	n := bootNode(t)
	for _, flag := range []string{"--help", "-h"} {
		a := n.write(question{args: []string{flag}}, nil)
		if a.exit != 0 || a.stderr != "" {
			t.Errorf("%s: exit code %d, %s", flag, a.exit, a.stderr)
		}
		for _, want := range []string{
			"kind: CredentialProviderConfig", "- name: ecr-credential-provider", `"*.dkr.ecr.*.amazonaws.com"`, "public.ecr.aws",
			"--cache-dir", "--role-arn", "$AWS_ECR_ROLE_ARN", "--account", "--alias", "--node-fallback", "--config",
		} {
			if !strings.Contains(a.stdout, want) {
				t.Errorf("%s does not show %s", flag, want)
			}
		}
	}
	n.wantCalls()
}

func TestTheVersionIsPrinted(t *testing.T) {
	n := bootNode(t)
	text := n.write(question{args: []string{"--version"}}, nil)
	if text.exit != 0 || text.stderr != "" || !strings.HasPrefix(text.stdout, "ecr-credential-provider ") || strings.Count(text.stdout, "\n") != 1 {
		t.Errorf("exit code %d, %q, %q", text.exit, text.stdout, text.stderr)
	}
	var version struct{ Name, Version, GoVersion, Platform string }
	data := n.write(question{args: []string{"--version=json"}}, nil)
	if err := json.Unmarshal([]byte(data.stdout), &version); err != nil || data.exit != 0 || data.stderr != "" {
		t.Errorf("exit code %d, %v, %q", data.exit, err, data.stderr)
	}
	if version.Name != "ecr-credential-provider" || version.Version == "" || version.GoVersion == "" || !strings.HasPrefix(version.Platform, "linux/") {
		t.Errorf("%+v", version)
	}
	if !strings.Contains(text.stdout, version.Version) {
		t.Errorf("%q does not say %s", text.stdout, version.Version)
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
		{"unknown flag", question{args: []string{"--rol-arn=x"}}, "unknown flag: --rol-arn"},
		{"flag without a value", question{args: []string{"--cache-dir"}}, "--cache-dir"},
		{"version in another form", question{args: []string{"--version=yaml"}}, "want text or json"},
		{"no such file", question{args: []string{"--config=/absent.yaml"}}, "/absent.yaml"},
		{"no file but a folder", question{args: []string{"--config=/"}}, "not a regular file"},
		{"file of everybody's", question{args: []string{"--config", writable}}, "can be written by"},
		{"not YAML", question{args: []string{"--config", file(t, "{")}}, "configuration file"},
		{"not ours", question{args: []string{"--config", file(t, "kind: Config\n")}}, "ECRCredentialProviderConfig"},
		{"unknown field", question{args: []string{"--config", configFile(t, "rolARN: x\n")}}, "rolARN"},
		{"field of another type", question{args: []string{"--config", configFile(t, "aliases: 1\n")}}, "aliases"},
		{"broken field", question{args: []string{"--config", configFile(t, "roleARN: pull\n")}}, "roleARN"},
		{"broken flag", question{args: []string{"--role-arn=pull"}}, "roleARN"},
		{"broken variable", question{env: []string{"AWS_ECR_ROLE_ARN=pull"}}, "roleARN"},
		{"broken scope", question{args: []string{"--identity-scope=node"}}, "identityScope"},
		{"broken alias", question{args: []string{"--alias=*.example.com=" + registry}}, "alias"},
		{"relative folder", question{args: []string{"--cache-dir=cache"}}, "cacheDir"},
		{"broken level", question{args: []string{"--log-level=loud"}}, "logLevel"},
		{"variable that is no boolean", question{env: []string{"REGCRED_NODE_FALLBACK=perhaps"}}, "REGCRED_NODE_FALLBACK"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			test.image = registry + "/app"
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
			q.env = []string{"AWS_ECR_ROLE_ARN=" + batchRole}
		}
		if name == "flag" {
			q.args = append(q.args, "--role-arn", shopRole)
		}
		n.ask(q).wantCredential(registry, role)
	}
}

// The log goes where the operator wants it, and says no secret.
func TestTheLog(t *testing.T) {
	n := bootNode(t)
	log := filepath.Join(t.TempDir(), "log")
	a := n.ask(question{image: registry + "/app", args: []string{"--log-level=info", "--log-file", log}})
	response, _ := a.response()
	written := read(t, log)
	for where, text := range map[string]string{"the file": written, "stderr": a.stderr} {
		if !strings.Contains(text, "msg=answered") || !strings.Contains(text, registry+"/app") {
			t.Errorf("%s does not say what was answered: %s", where, text)
		}
		if strings.Contains(text, response.Auth[registry].Password) || tokenLike.MatchString(text) {
			t.Errorf("%s holds a secret: %s", where, text)
		}
	}
	info, err := os.Stat(log)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has mode %s, want 0600", info.Mode())
	}
	n.attach(nodeRole) // and a failure is in the file too
	n.ask(question{image: registry + "/app", args: []string{"--cache-dir=", "--log-file", log}}).wantFailure(1, "AccessDeniedException")
	if !strings.Contains(read(t, log), "AccessDeniedException") {
		t.Error("the file does not say the failure")
	}
}

func TestALogThatCannotBeWrittenFailsNothing(t *testing.T) {
	n := bootNode(t)
	for _, path := range []string{"/nonexistent/log", "/", "/dev/full"} {
		a := n.ask(question{image: registry + "/app", args: []string{"--log-file", path}})
		if !strings.Contains(a.stderr, path) {
			t.Errorf("%s: stderr does not say so: %s", path, a.stderr)
		}
		a.stderr = ""
		a.wantCredential(registry, nodeRole)
	}
}
