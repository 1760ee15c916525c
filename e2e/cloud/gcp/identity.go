package gcp

import (
	"slices"
	"sync"
)

// Principal is who makes a call, as IAM policies write a member:
// "serviceAccount:EMAIL", or
// "principal://iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/subject/SUBJECT".
type Principal string

// Account is the principal that a service account is.
func Account(email string) Principal { return Principal("serviceAccount:" + email) }

// ServiceAccount is a service account of IAM.
type ServiceAccount struct {
	Email string

	// Impersonators are who may have access tokens of it: they have
	// iam.serviceAccounts.getAccessToken, as roles/iam.workloadIdentityUser
	// and roles/iam.serviceAccountTokenCreator give it.
	Impersonators []Principal
}

// AddServiceAccount makes a service account, or changes the one of the same
// email. Its keys stay.
func (f *Fake) AddServiceAccount(account ServiceAccount) {
	f.identities.mu.Lock()
	defer f.identities.mu.Unlock()
	f.identities.accounts[account.Email] = account
}

// identities is who exists and who vouches for whom.
type identities struct {
	mu        sync.Mutex
	accounts  map[string]ServiceAccount // by email
	providers map[string]Provider       // by audience
	keys      map[string]key            // by id
}

func newIdentities() *identities {
	return &identities{
		accounts:  map[string]ServiceAccount{},
		providers: map[string]Provider{},
		keys:      map[string]key{},
	}
}

// mayImpersonate reports whether a service account exists and lets a principal
// have tokens of it: a stranger is not told which of the two is not so.
func (i *identities) mayImpersonate(caller Principal, email string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Contains(i.accounts[email].Impersonators, caller)
}

func (i *identities) provider(audience string) (Provider, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	provider, ok := i.providers[audience]
	return provider, ok
}

func (i *identities) key(id string) (key, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	found, ok := i.keys[id]
	return found, ok
}
