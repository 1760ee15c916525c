package ibm

import (
	"slices"
	"strings"
	"sync"

	"regcred/e2e/cloud/oidc"
)

// HomeAccount is the account of everybody who is of no other.
const HomeAccount = "0123456789abcdef0123456789abcdef"

// Profile is a trusted profile.
type Profile struct {
	ID      string // Profile-…
	Account string // empty: HomeAccount

	// Accounts are the service accounts of the cluster that its rules are for.
	Accounts []oidc.ServiceAccount
	// Assumers are the IAM ids of those who may assume it.
	Assumers []string
	// Reader is whether it may pull.
	Reader bool
}

// IAMID is the profile's IAM id.
func (p Profile) IAMID() string { return "iam-" + p.ID }

// ServiceID is a service ID: an identity with API keys.
type ServiceID struct {
	ID     string // ServiceId-…
	Reader bool
}

// IAMID is the service ID's IAM id.
func (s ServiceID) IAMID() string { return "iam-" + s.ID }

// directory is everybody whom IAM knows.
type directory struct {
	mu       sync.Mutex
	profiles map[string]Profile
	services map[string]ServiceID
	keys     map[string]string // ids of service IDs, by API key
}

// AddProfile adds a trusted profile, or replaces it.
func (f *Fake) AddProfile(p Profile) {
	d := &f.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.profiles == nil {
		d.profiles = map[string]Profile{}
	}
	d.profiles[p.ID] = p
}

// AddServiceID adds a service ID with an API key, which is one more if the
// service ID is there.
func (f *Fake) AddServiceID(s ServiceID, key string) {
	d := &f.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil {
		d.keys, d.services = map[string]string{}, map[string]ServiceID{}
	}
	d.services[s.ID], d.keys[key] = s, s.ID
}

// DeleteKey deletes an API key.
func (f *Fake) DeleteKey(key string) {
	d := &f.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.keys, key)
}

func (d *directory) profile(id string) (Profile, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.profiles[id]
	return p, ok
}

// owner is whose an API key is.
func (d *directory) owner(key string) (ServiceID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok := d.keys[key]
	return d.services[id], ok
}

// reads reports whether an IAM id may pull.
func (d *directory) reads(iamID string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := strings.TrimPrefix(iamID, "iam-")
	return d.profiles[id].Reader || d.services[id].Reader
}

// trusts reports whether the profile's rules are for a service account.
func (p Profile) trusts(namespace, name string) bool {
	return slices.ContainsFunc(p.Accounts, func(a oidc.ServiceAccount) bool { return a.Namespace == namespace && a.Name == name })
}
