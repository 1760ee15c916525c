package acr_test

import (
	"strings"
	"time"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// answer is what came of one run.
type answer struct {
	cloudtest.Answer
	node *node
}

// wantCredential fails the test unless the answer is a token of the registry for
// an identity of the home tenant, for all images of exactly the host as it was
// asked for, that pulls from there, without a word on stderr. It returns what
// the registry knows of the token.
func (a answer) wantCredential(host, clientID string) issued {
	a.node.T.Helper()
	return a.wantCredentialOf(host, azure.Principal{Tenant: tenant, ClientID: clientID})
}

// wantCredentialOf is wantCredential for an identity of any tenant.
func (a answer) wantCredentialOf(host string, principal azure.Principal) issued {
	a.node.T.Helper()
	password, keep := a.WantLogin(host, azure.TokenUser)
	return a.wantIssued(loginServer(host), password, keep, principal)
}

// wantMirrored is wantCredential where what is pulled from is the registry, and not
// what the image names.
func (a answer) wantMirrored(host, clientID string) {
	a.node.T.Helper()
	password, keep := a.WantLogin(host, azure.TokenUser)
	a.wantIssued(registry, password, keep, azure.Principal{Tenant: tenant, ClientID: clientID})
}

func (a answer) wantIssued(server, password string, keep time.Duration, principal azure.Principal) issued {
	t := a.node.T
	t.Helper()
	token, ok := a.node.azure.Credential(password)
	if !ok {
		t.Fatal("no registry issued the password")
	}
	if token.Principal != principal {
		t.Errorf("the token of %v, want that of %v", token.Principal, principal)
	}
	if token.Host != server {
		t.Errorf("the token of %s, want that of %s", token.Host, server)
	}
	if left := time.Until(token.Expires); keep < 0 || keep > left {
		t.Errorf("the kubelet keeps for %s a token that ends in %s", keep, left)
	}
	if err := a.node.azure.Pull(server, azure.TokenUser, password, repository); err != nil {
		t.Errorf("the token does not pull: %v", err)
	}
	return issued{Credential: token, password: password, keep: keep}
}

// loginServer is a host as the registry itself writes it.
func loginServer(host string) string {
	return strings.TrimSuffix(strings.ToLower(host), ":443")
}

// issued is a token that the fake knows.
type issued struct {
	azure.Credential
	password string
	keep     time.Duration // by the kubelet
}

// wantNothing fails the test unless the answer is that there is no credential,
// which the kubelet is not to keep.
func (a answer) wantNothing() {
	a.node.T.Helper()
	a.WantNothing(0, 0)
}
