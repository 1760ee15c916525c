package ecr_test

import (
	"testing"

	"regcred/e2e/cloud/aws"
)

func TestAnAliasOfThePublicRegistry(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.attach(nodeRole, aws.ECRToken, aws.ECRPublicToken, aws.BearerToken)
	args := []string{"--alias", "docker.io=public.ecr.aws", "--alias", "mirror.example.com=" + registry}
	n.ask(question{Image: "docker.io/library/nginx", Args: args}).wantCredential("docker.io", nodeRole)
	n.WantCalls(askIMDS, askPublic(publicAPI))
	n.ask(question{Image: "mirror.example.com/app", Args: args}).wantCredential("mirror.example.com", nodeRole)
	n.WantCalls(askIMDS, askECR(ecrAPI))
}
