package ecr_test

import (
	"time"

	"regcred/e2e/cloud/aws"
	"regcred/e2e/cloud/cloudtest"
)

// answer is what came of one run.
type answer struct {
	cloudtest.Answer
	node *node
}

// wantCredential fails the test unless the answer is a credential of the
// principal, the ARN of a role or a user, for exactly one registry, without a
// word on stderr. It returns what AWS knows of the password.
func (a answer) wantCredential(registry, principal string) issued {
	t := a.node.T
	t.Helper()
	password, keep := a.WantLogin(registry, "AWS")
	token, ok := a.node.aws.Token(password)
	if !ok {
		t.Fatal("AWS did not issue the password")
	}
	if whose := owner(token.Principal); whose != principal {
		t.Errorf("the credential of %s, want that of %s", whose, principal)
	}
	return issued{Token: token, password: password, keep: keep}
}

// issued is a credential that the fake knows.
type issued struct {
	aws.Token
	password string
	keep     time.Duration // by the kubelet
}

func owner(principal aws.Principal) string {
	if principal.Role != "" {
		return principal.Role
	}
	return principal.ARN
}
