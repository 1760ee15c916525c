package ecr_test

import (
	"testing"

	"regcred/e2e/cloud/aws"
)

// The role that a service account names is part of the identity.
func TestEachRoleOfAServiceAccountHasATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	const otherRole = "arn:aws:iam::123456789012:role/pull-other"
	n := bootNode(t)
	n.addRole(shopRole, shop)
	n.aws.AddRole(aws.Role{ARN: otherRole, Allow: []aws.Action{aws.ECRToken}, Subjects: []string{shop.Subject()}})
	for range 2 {
		for _, role := range []string{shopRole, otherRole} {
			n.ask(n.pod(shop).question(registry+"/app").as(role)).wantCredential(registry, role)
		}
	}
	askRole := []calls{askSTS("AssumeRoleWithWebIdentity", stsAPI), askECR(ecrAPI)}
	n.WantCalls(append(askRole, askRole...)...)
}
