package gcr_test

import (
	"testing"
	"time"

	"regcred/e2e/cloud/gcp"
)

const otherProvider = "projects/123456789012/locations/global/workloadIdentityPools/other-pool/providers/main"

// What a service account's annotations name is part of the identity.
func TestEachIdentityOfAServiceAccountHasATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	other := gcp.WorkloadIdentity("123456789012", "other-pool", "main")
	other.TokenAudiences = append(other.TokenAudiences, wifAudience)
	n.gcp.AddProvider(other)
	n.gcp.AddServiceAccount(gcp.ServiceAccount{Email: pullAccount, Impersonators: []gcp.Principal{ownPrincipal(shop)}})
	q := n.pod(shop, wifAudience, time.Hour).question(registry+"/p/r/app", wifArgs...)
	for range 2 {
		n.ask(q).wantCredential(registry, ownPrincipal(shop))
		n.ask(q.annotated(providerAnnotation, otherProvider)).wantCredential(registry, principals+"other-pool/subject/"+gcp.Principal(shop.Subject()))
		n.ask(q.annotated(accountAnnotation, pullAccount)).wantCredential(registry, gcp.Account(pullAccount))
	}
	n.WantCalls(askSTS, askSTS, askCredentials)
}
