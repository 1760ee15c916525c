package azure

import (
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/e2e/cloud/fake"
)

// HomeTenant is the tenant that every fake has.
const HomeTenant = "72a3d4e5-1b2c-4d3e-8f40-5a6b7c8d9e0f"

// Tenant is one organisation's directory.
type Tenant struct {
	ID     string
	Domain string // another name of it; empty: none
	Cloud  Cloud
}

// Principal is who a token belongs to: an app, or a managed identity, which is
// one too, in a tenant.
type Principal struct{ Tenant, ClientID string }

// App is an app registration, or a user-assigned managed identity seen as one.
type App struct {
	ClientID string
	// Tenants are where it is known; it was registered in the first. Empty:
	// HomeTenant.
	Tenants   []string
	Federated []FederatedCredential
}

// FederatedCredential says whose tokens are accepted as an app's assertions.
type FederatedCredential struct{ Issuer, Subject, Audience string }

// AddTenant makes a tenant.
func (f *Fake) AddTenant(tenant Tenant) {
	f.directory.mu.Lock()
	defer f.directory.mu.Unlock()
	f.directory.tenants = append(f.directory.tenants, tenant)
}

// AddApp makes an app, or changes the one of the same client id. Its secrets
// and certificates stay.
func (f *Fake) AddApp(app App) {
	if len(app.Tenants) == 0 {
		app.Tenants = []string{HomeTenant}
	}
	f.directory.mu.Lock()
	defer f.directory.mu.Unlock()
	f.directory.apps[strings.ToLower(app.ClientID)] = app
}

// AddSecret makes a client secret of an app, good until it ends.
func (f *Fake) AddSecret(clientID string, life time.Duration) (text string) {
	text = "8Q~" + fake.Text(27)
	f.directory.secrets.Add(text, secret{clientID: clientID, expires: time.Now().Add(life)})
	return text
}

// Bind lets pods of service accounts be an identity, by an identity binding.
func (f *Fake) Bind(clientID string, subjects ...string) {
	f.directory.mu.Lock()
	defer f.directory.mu.Unlock()
	f.directory.bindings[strings.ToLower(clientID)] = subjects
}

// directory is who exists and what proves it.
type directory struct {
	mu           sync.Mutex
	tenants      []Tenant
	apps         map[string]App // by lower-case client id
	secrets      fake.Ledger[secret]
	certificates map[string]certificate // by x5t#S256
	assertions   map[string]bool        // ids of those that were used
	bindings     map[string][]string    // subjects by lower-case client id
}

type secret struct {
	clientID string
	expires  time.Time
}

func newDirectory() *directory {
	return &directory{
		apps:         map[string]App{},
		certificates: map[string]certificate{},
		assertions:   map[string]bool{},
		bindings:     map[string][]string{},
	}
}

// tenant finds a tenant by its id or its domain.
func (d *directory) tenant(name string) (Tenant, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.tenants, func(t Tenant) bool {
		return strings.EqualFold(t.ID, name) || t.Domain != "" && strings.EqualFold(t.Domain, name)
	})
	if i < 0 {
		return Tenant{}, false
	}
	return d.tenants[i], true
}

// app finds an app that is known in a tenant.
func (d *directory) app(clientID, tenant string) (App, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	app, ok := d.apps[strings.ToLower(clientID)]
	return app, ok && slices.Contains(app.Tenants, tenant)
}

func (d *directory) certificate(thumbprint string) (certificate, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, ok := d.certificates[thumbprint]
	return found, ok
}

// use reports whether an assertion is used for the first time.
func (d *directory) use(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	used := d.assertions[id]
	d.assertions[id] = true
	return !used
}

func (d *directory) bound(clientID, subject string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.bindings[strings.ToLower(clientID)], subject)
}
