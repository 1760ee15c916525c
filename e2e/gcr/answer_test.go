package gcr_test

import (
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/gcp"
)

// answer is what came of one run.
type answer struct {
	cloudtest.Answer
	node *node
}

// wantCredential fails the test unless the answer is an access token of the
// principal for exactly one registry, for all of its images, without a word on
// stderr. It returns what Google Cloud knows of the token.
func (a answer) wantCredential(registry string, principal gcp.Principal) issued {
	t := a.node.T
	t.Helper()
	password, keep := a.WantLogin(registry, "_token")
	token, ok := a.node.gcp.Token(password)
	if !ok {
		t.Fatal("Google Cloud did not issue the password")
	}
	if token.Principal != principal {
		t.Errorf("the token of %s, want that of %s", token.Principal, principal)
	}
	if left := time.Until(token.Expires); keep < 0 || keep > left {
		t.Errorf("the kubelet keeps for %s a token that ends in %s", keep, left)
	}
	return issued{Token: token, password: password, keep: keep}
}

// issued is a token that the fake knows.
type issued struct {
	gcp.Token
	password string
	keep     time.Duration // by the kubelet
}

// wantNothing fails the test unless the answer is that there is no credential,
// which the kubelet is not to keep.
func (a answer) wantNothing() {
	a.node.T.Helper()
	a.WantNothing(0, 0)
}
