package ecr_test

import (
	"testing"

	"regcred/e2e/cloud/aws"
)

// The registries of another account are read with a role there, which the
// node's own role assumes.
func TestAnAccountIsReadWithItsRole(t *testing.T) {
	t.Parallel()
	const (
		account    = "210987654321"
		foreign    = account + ".dkr.ecr.us-east-1.amazonaws.com"
		pullRole   = "arn:aws:iam::210987654321:role/pull"
		externalID = "tenant-7"
	)
	trusting := func(t *testing.T) *node {
		n := bootNode(t)
		n.aws.AddRole(aws.Role{ARN: pullRole, Allow: []aws.Action{aws.ECRToken}, Principals: []string{nodeRole}, ExternalID: externalID})
		return n
	}
	flag := func(id string) []string { return []string{"--account", account + "=" + pullRole + id} }

	for name, q := range map[string]question{
		"flag": {Args: flag("#" + externalID)},
		"file": {Args: []string{"--config", configFile(t, "accounts:\n  \""+account+"\": {roleARN: '"+pullRole+"', externalID: "+externalID+"}\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := trusting(t)
			q.Image = foreign + "/app"
			n.ask(q).wantCredential(foreign, pullRole)
			n.WantCalls(askIMDS, askSTS("AssumeRole", stsAPI), askECR(ecrAPI))
			n.ask(q).wantCredential(foreign, pullRole)
			n.WantCalls()

			// The other accounts are the node's.
			q.Image = registry + "/app"
			n.ask(q).wantCredential(registry, nodeRole)
			n.WantCalls(askIMDS, askECR(ecrAPI))
		})
	}

	for name, id := range map[string]string{"wrong external ID": "#tenant-8", "no external ID": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := trusting(t)
			n.ask(question{Image: foreign + "/app", Args: flag(id)}).WantFailure(1,
				"sts AssumeRole at "+stsAPI, "status 403 AccessDenied", "the node as "+pullRole, "sts:AssumeRole", "trust policy", "external")
			n.WantCalls(askIMDS, askSTS("AssumeRole", stsAPI))
		})
	}

	t.Run("a role of another partition", func(t *testing.T) {
		t.Parallel()
		n := trusting(t)
		args := []string{"--account", account + "=arn:aws-cn:iam::" + account + ":role/pull"}
		n.ask(question{Image: foreign + "/app", Args: args}).WantFailure(1, "partition aws-cn", foreign)
		n.WantNever("sts AssumeRole")
	})

	t.Run("a pod without a role is not the account's", func(t *testing.T) {
		t.Parallel()
		n := trusting(t)
		q := n.pod(shop).question(foreign+"/app", flag("#"+externalID)...)
		n.ask(q).WantFailure(1, "service account shop/web names no identity")
		n.WantCalls()
	})
}
