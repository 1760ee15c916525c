package ecr_test

import (
	"testing"

	"regcred/e2e/cloud/aws"
)

// An alias makes a mirror or vanity name get a registry's credential, under
// the name that was asked for.
func TestAnAliasGetsItsRegistrysCredential(t *testing.T) {
	const mirror = "mirror.example.com"
	for _, test := range []struct {
		name, host string
		question
	}{
		{"flag", mirror, question{Args: []string{"--alias", mirror + "=" + registry}}},
		{"environment", mirror, question{Env: []string{"REGCRED_ALIAS=" + mirror + "=" + registry}}},
		{"file", mirror, question{Args: []string{"--config", configFile(t, "aliases:\n  "+mirror+": "+registry+"\n")}}},
		{"file named by the environment", mirror, question{Env: []string{"REGCRED_CONFIG=" + configFile(t, "aliases: {"+mirror+": "+registry+"}\n")}}},
		{"port", mirror + ":5000", question{Args: []string{"--alias", mirror + ":5000=" + registry}}},
		{"case", "Mirror.Example.com", question{Args: []string{"--alias", mirror + "=" + registry}}},
		{"one of several", mirror, question{Args: []string{"--alias", "docker.io=public.ecr.aws", "--alias", mirror + "=" + registry}}},
		{"somebody else's registry", "docker.io", question{Args: []string{"--alias", "docker.io=" + registry}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := bootNode(t)
			test.Image = test.host + "/library/nginx"
			n.ask(test.question).wantCredential(test.host, nodeRole)
			n.wantCalls(askIMDS, askECR(ecrAPI))
		})
	}
}

func TestAnAliasIsAWholeHostWithItsPort(t *testing.T) {
	n := bootNode(t)
	for _, host := range []string{
		"mirror.example.com:5000", "mirror.example.com:443", "a.mirror.example.com", "mirror.example.com.evil.com", "example.com", "notmirror.example.com",
	} {
		t.Run(host, func(t *testing.T) {
			n := n.in(t)
			q := question{Image: host + "/app", Args: []string{"--alias", "mirror.example.com=" + registry}}
			n.ask(q).WantNothing(0, 0)
			n.wantCalls()
		})
	}
}

// A registry and its alias have one credential.
func TestAnAliasSharesItsRegistrysToken(t *testing.T) {
	n := bootNode(t)
	own := n.ask(question{Image: registry + "/app"}).wantCredential(registry, nodeRole)
	alias := n.ask(question{Image: "mirror.example.com/app", Args: []string{"--alias", "mirror.example.com=" + registry}}).
		wantCredential("mirror.example.com", nodeRole)
	n.wantCalls(askIMDS, askECR(ecrAPI))
	if own.password != alias.password {
		t.Error("two passwords")
	}
}

func TestAnAliasOfThePublicRegistry(t *testing.T) {
	n := bootNode(t)
	n.attach(nodeRole, aws.ECRPublicToken, aws.BearerToken)
	n.ask(question{Image: "docker.io/library/nginx", Args: []string{"--alias", "docker.io=public.ecr.aws"}}).
		wantCredential("docker.io", nodeRole)
	n.wantCalls(askIMDS, askPublic(publicAPI))
}

func TestAnAliasOfAForeignRegistryIsAMistake(t *testing.T) {
	for _, target := range []string{"quay.io", registry + ".evil.com", registry + ":5000"} {
		t.Run(target, func(t *testing.T) {
			n := bootNode(t)
			n.ask(question{Image: "mirror.example.com/app", Args: []string{"--alias", "mirror.example.com=" + target}}).
				wantFailure(1, "mirror.example.com", target, "correct --alias")
			n.wantCalls()
		})
	}
}
