package azure

import (
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/e2e/cloud/fake"
)

// Roles that let pull.
const (
	// AcrPull counts on a registry that has no permissions by repository.
	AcrPull = "AcrPull"
	// RepositoryReader counts on one that has.
	RepositoryReader = "Container Registry Repository Reader"
)

// Registry is a container registry.
type Registry struct {
	// Hosts are its login server and its regional endpoints.
	Hosts  []string
	Tenant string // that it trusts; empty: HomeTenant
	Roles  []Role
	// ABAC registries have permissions by repository.
	ABAC bool
	// Logins are passwords of its own: the admin user's, tokens', and service
	// principals' secrets.
	Logins []Login
	// Audience is whom Entra tokens for it are for. Empty: ACRAudience.
	Audience string
	// Blocked registries are out of reach by their network rules.
	Blocked bool
}

// Role is what somebody may do.
type Role struct {
	Name         string
	Principal    Principal
	Repositories []string // that the condition of a RepositoryReader is met by; nil: all
}

// Login is a user and a password.
type Login struct {
	Username, Password string
	Repositories       []string // nil: all
}

// Credential is what is known of a token that a registry issued.
type Credential struct {
	Host      string // that was asked for it
	Principal Principal
	Expires   time.Time

	// Repository is the one that an access token is for. Empty: a refresh
	// token, which is for all that its owner may pull.
	Repository string

	registry   string // the first of its hosts
	generation int
}

// registries is every registry and every token of one.
type registries struct {
	mu         sync.Mutex
	all        []Registry
	generation map[string]int // by first host: how often its permissions changed their kind
	issued     fake.Ledger[Credential]
}

func newRegistries() *registries {
	return &registries{generation: map[string]int{}}
}

// AddRegistry makes a registry, or changes the one of the same first host. A
// change of the kind of its permissions invalidates everything that it issued.
func (f *Fake) AddRegistry(registry Registry) {
	if registry.Tenant == "" {
		registry.Tenant = HomeTenant
	}
	if registry.Audience == "" {
		registry.Audience = ACRAudience
	}
	f.registries.mu.Lock()
	defer f.registries.mu.Unlock()
	name := registry.Hosts[0]
	i := slices.IndexFunc(f.registries.all, func(r Registry) bool { return r.Hosts[0] == name })
	if i < 0 {
		f.registries.all = append(f.registries.all, registry)
		return
	}
	if f.registries.all[i].ABAC != registry.ABAC {
		f.registries.generation[name]++
	}
	f.registries.all[i] = registry
}

// Credential returns what is known of a registry's token, which is what the
// kubelet is given as a password; ok is false for one that no registry issued.
func (f *Fake) Credential(password string) (credential Credential, ok bool) {
	return f.registries.issued.Find(password)
}

// find returns the registry at a host.
func (r *registries) find(host string) (Registry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.all, func(registry Registry) bool {
		return slices.ContainsFunc(registry.Hosts, func(own string) bool { return strings.EqualFold(own, host) })
	})
	if i < 0 {
		return Registry{}, false
	}
	return r.all[i], true
}

// valid reports whether a token is one of a registry's and still good.
func (r *registries) valid(registry Registry, text string, now time.Time) (Credential, bool) {
	credential, ok := r.issued.Find(text)
	return credential, ok && credential.registry == registry.Hosts[0] && credential.generation == r.generationOf(registry) && now.Before(credential.Expires)
}

func (r *registries) remember(registry Registry, text string, credential Credential) {
	credential.registry = registry.Hosts[0]
	credential.generation = r.generationOf(registry)
	r.issued.Add(text, credential)
}

func (r *registries) generationOf(registry Registry) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.generation[registry.Hosts[0]]
}

// role is the one that counts on the registry.
func (r Registry) role() string {
	if r.ABAC {
		return RepositoryReader
	}
	return AcrPull
}

// admits reports whether somebody has a role here at all.
func (r Registry) admits(principal Principal) bool {
	return slices.ContainsFunc(r.Roles, func(role Role) bool { return role.Name == r.role() && role.Principal == principal })
}

// lets reports whether somebody may pull from a repository.
func (r Registry) lets(principal Principal, repository string) bool {
	return slices.ContainsFunc(r.Roles, func(role Role) bool {
		return role.Name == r.role() && role.Principal == principal && allows(role.Repositories, repository)
	})
}

func allows(repositories []string, repository string) bool {
	return repositories == nil || slices.Contains(repositories, repository)
}
