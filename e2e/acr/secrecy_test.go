package acr_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// signature is what of a token proves anything.
func signature(token string) string { return token[strings.LastIndex(token, ".")+1:] }

// written asks twice, with the log at its most talkative, and returns all that
// was written.
func (n *node) written(q question) (all map[string]string, log string) {
	n.T.Helper()
	log = filepath.Join(n.T.TempDir(), "log")
	q = q.with("--v=9", "--log-level=debug", "--log-file", log)
	all = cloudtest.Written(n.T, n.Cloud, log, n.ask(q).Answer, n.ask(q).Answer)
	if all[log] == "" {
		n.T.Error("there is no log")
	}
	return all, log
}

// wantNowhere fails the test if the secret was written anywhere.
func (n *node) wantNowhere(q question, secret string) {
	n.T.Helper()
	all, _ := n.written(q)
	for where, content := range all {
		if strings.Contains(content, secret) {
			n.T.Errorf("the secret is in %s", where)
		}
	}
}

// The secret of an app is for Entra alone.
func TestASecretOfTheCloudProvidersConfigurationIsWrittenNowhere(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*node){
		"Entra answered":   func(*node) {},
		"Entra refused":    struck("entra", cloud.Refusal{Status: 400, Code: "invalid_grant", Message: "no"}),
		"Entra broken":     struck("entra", cloud.NotJSON),
		"registry refused": struck("acr", cloud.Refusal{Status: 401, Code: "UNAUTHORIZED", Message: "no"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := bootNode(t)
			n.serve(registry, appID)
			prepare(n)
			n.azure.AddApp(azure.App{ClientID: appID})
			secret := n.azure.AddSecret(appID, time.Hour)
			file := azureJSON(t, map[string]any{"useManagedIdentityExtension": false, "aadClientId": appID, "aadClientSecret": secret})
			n.wantNowhere(question{Image: image, Args: []string{file}}, secret)
		})
	}
}

func TestAWrongPasswordOfAKeyIsWrittenNowhere(t *testing.T) {
	t.Parallel()
	const wrong = "another-password"
	n := bootNode(t)
	pfx, _ := n.pfxFile()
	q := question{Image: image, Args: appArgs("client-certificate", "--client-certificate-file", pfx, "--client-certificate-password-file", n.file(wrong))}
	n.ask(q).WantFailure(1, pfx, "and not that in", "clientCertificatePasswordFile")
	n.wantNowhere(q, wrong)
	n.WantCalls()
}

// Tokens are in the answer and in the cache, and nowhere else.
func TestATokenForARepositoryIsNotInTheLog(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	all, log := n.written(question{Image: image, Args: []string{"--scope=repository"}})
	for _, where := range []string{log, "stderr of run 1", "stderr of run 2"} {
		if secret := cloudtest.Secret(all[where]); secret != "" {
			t.Errorf("%.20q… is in %s", secret, where)
		}
	}
}

// The password of a plain login is in its file and in the answer, and in the
// cache that nobody else reads, and not in a log.
func TestAPlainPasswordIsNotInTheLog(t *testing.T) {
	t.Parallel()
	const password = "Passw0rd-of-the-admin"
	n := bootNode(t)
	config := configFile(t, "registries:\n  "+registry+":\n    login: {username: admin, passwordFile: "+n.file(password)+"}\n")
	all, log := n.written(question{Image: image, Args: []string{"--config", config}})
	for _, where := range []string{log, "stderr of run 1", "stderr of run 2"} {
		if strings.Contains(all[where], password) {
			t.Errorf("the password is in %s", where)
		}
	}
}
