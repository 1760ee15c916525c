package acr_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// outcomes are what can become of a question to a service.
func outcomes(service string) map[string]cloud.Fault {
	return map[string]cloud.Fault{
		service + " answered": nil,
		service + " refused":  cloud.Refusal{Status: 400, Code: "invalid_grant", Message: "no"},
		service + " broken":   cloud.NotJSON,
		"registry refused":    cloud.Refusal{Status: 401, Code: "UNAUTHORIZED", Message: "no"},
	}
}

// wantNowhere asks twice, with the log at its most talkative, and fails the test
// if any of the secrets was written anywhere.
func (n *node) wantNowhere(q question, secrets ...string) {
	n.t.Helper()
	log := filepath.Join(n.t.TempDir(), "log")
	q = q.with("--v=9", "--log-level=debug", "--log-file", log)
	first, second := n.ask(q), n.ask(q)
	written := cloudtest.Written(n.t, log, first.Answer, second.Answer)
	if len(written[log]) == 0 {
		n.t.Error("there is no log")
	}
	for where, content := range written {
		for i, secret := range secrets {
			if strings.Contains(content, secret) {
				n.t.Errorf("secret %d is in %s", i, where)
			}
		}
	}
}

// strike makes what can become of a question.
func (n *node) strike(name string, fault cloud.Fault) {
	service, _, _ := strings.Cut(name, " ")
	if service == "registry" {
		service = "acr"
	}
	if fault != nil {
		n.cloud.Faults.Always(service, "", fault)
	}
}

// The secret of an app is for Entra alone.
func TestASecretIsWrittenNowhere(t *testing.T) {
	places := map[string]func(n *node, secret string) []string{
		"in azure.json": func(n *node, secret string) []string {
			return []string{azureJSON(n.t, map[string]any{"useManagedIdentityExtension": false, "aadClientId": appID, "aadClientSecret": secret})}
		},
		"in a file": func(n *node, secret string) []string {
			return appArgs("client-secret", "--client-secret-file", n.file(secret))
		},
	}
	for place, args := range places {
		for name, fault := range outcomes("entra") {
			t.Run(place+", "+name, func(t *testing.T) {
				n := bootNode(t)
				n.serve(registry, appID)
				n.strike(name, fault)
				n.azure.AddApp(azure.App{ClientID: appID})
				secret := n.azure.AddSecret(appID, time.Hour)
				n.wantNowhere(question{Image: image, Args: args(n, secret)}, secret)
			})
		}
	}
}

// A key is nobody's to read, nor its password, nor what was signed with it.
func TestAKeyIsWrittenNowhere(t *testing.T) {
	for name, fault := range outcomes("entra") {
		t.Run(name, func(t *testing.T) {
			n := bootNode(t)
			n.serve(registry, appID)
			n.azure.AddApp(azure.App{ClientID: appID})
			n.strike(name, fault)
			content, err := n.certificate().PEM()
			if err != nil {
				t.Fatal(err)
			}
			key := strings.Split(string(content[slices.Index(content, 'P'):]), "\n")
			// eyJhbGciOiJQUzI1NiI is how every assertion begins.
			n.wantNowhere(question{Image: image, Args: appArgs("client-certificate", "--client-certificate-file", n.file(string(content)))},
				key[len(key)-5], "eyJhbGciOiJQUzI1NiI")
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		n := bootNode(t)
		pfx, _ := n.pfxFile()
		const wrong = "another-password"
		n.ask(question{Image: image, Args: appArgs("client-certificate", "--client-certificate-file", pfx, "--client-certificate-password-file", n.file(wrong))}).
			wantFailure(1, pfx, "another password than that in", "clientCertificatePasswordFile")
		n.wantNowhere(question{Image: image, Args: appArgs("client-certificate", "--client-certificate-file", pfx, "--client-certificate-password-file", n.file(wrong))}, wrong)
		n.wantCalls()
	})
}

// A pod's token is for Entra, or for the cluster's own server, alone.
func TestAPodsTokenIsWrittenNowhere(t *testing.T) {
	for name, fault := range outcomes("entra") {
		t.Run(name, func(t *testing.T) {
			n := podNode(t)
			n.strike(name, fault)
			p := n.pod(shop, podAudience, time.Hour)
			n.wantNowhere(p.question(annotated...), signature(p.token))
		})
	}
	for name, fault := range outcomes("identitybinding") {
		t.Run(name, func(t *testing.T) {
			n, args := bindingNode(t)
			n.strike(name, fault)
			p := n.pod(shop, azure.BindingAudience, time.Hour)
			n.wantNowhere(p.question(clientAnnotation, pull.ClientID).with(args...), signature(p.token))
		})
	}
	for name, fault := range outcomes("entra") {
		t.Run("in a file, "+name, func(t *testing.T) {
			n := podNode(t)
			n.strike(name, fault)
			p := n.pod(shop, podAudience, time.Hour)
			n.wantNowhere(question{Image: image, Args: appArgs("workload-identity", "--federated-token-file", n.file(p.token))}, signature(p.token))
		})
	}
}

func signature(token string) string { return token[strings.LastIndex(token, ".")+1:] }

// Tokens are in the answer and in the cache, and nowhere else.
func TestATokenIsNotInTheLog(t *testing.T) {
	for name, args := range map[string][]string{"for the registry": nil, "for the repository": {"--scope=repository"}} {
		t.Run(name, func(t *testing.T) {
			n := bootNode(t)
			log := filepath.Join(t.TempDir(), "log")
			a := n.ask(question{Image: image, Args: append([]string{"--v=9", "--log-level=debug", "--log-file", log}, args...)})
			a.Response()
			written := cloudtest.Written(t, log, a.Answer)
			for _, where := range slices.DeleteFunc(slices.Collect(maps.Keys(written)), func(where string) bool {
				return where != log && where != "stderr of run 1"
			}) {
				if secret := cloudtest.Secret(written[where]); secret != "" {
					t.Errorf("%.20q… is in %s", secret, where)
				}
			}
			if written[log] == "" {
				t.Error("there is no log")
			}
		})
	}
}

// The password of a plain login is in its file and in the answer, and in the
// cache that nobody else reads, and not in a log.
func TestAPlainPasswordIsNotInTheLog(t *testing.T) {
	const password = "Passw0rd-of-the-admin"
	n := bootNode(t)
	log := filepath.Join(t.TempDir(), "log")
	config := configFile(t, "registries:\n  "+registry+":\n    login: {username: admin, passwordFile: "+n.file(password)+"}\n")
	a := n.ask(question{Image: image, Args: []string{"--config", config, "--v=9", "--log-level=debug", "--log-file", log}})
	if strings.Contains(a.Stderr, password) || strings.Contains(cloudtest.Written(t, log, a.Answer)[log], password) {
		t.Error("the password is in the log")
	}
}
