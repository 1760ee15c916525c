package ecr_test

import (
	"strings"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// profile returns an environment whose profile gets its keys from a shell
// command.
func profile(t *testing.T, command string) []string {
	t.Helper()
	script := cloudtest.File(t, command)
	return []string{"AWS_PROFILE=process", "AWS_CONFIG_FILE=" + cloudtest.File(t, "[profile process]\ncredential_process = /bin/sh "+script+"\n")}
}

// What a credential_process prints holds keys, and goes nowhere.
func TestACredentialProcessPrintsNothingIntoTheAnswer(t *testing.T) {
	t.Parallel()
	const key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	n := bootNode(t)
	a := n.ask(question{Image: registry + "/app", Env: profile(t, `
echo debug: the secret is `+key+` >&2
echo warning: this line is no JSON
echo '{"Version":1,"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"`+key+`"}'
`)})
	a.WantFailure(1, registry, "credential_process", "by hand", "the node's identity")
	for where, content := range cloudtest.Written(t, n.Cloud, "", a.Answer) {
		if strings.Contains(content, key) {
			t.Errorf("the key is in %s", where)
		}
	}
	n.WantCalls()
}
