package acr

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"regcred/shared/plugin"
)

// Registry is a login server's own identity or password.
type Registry struct {
	Identity

	// Login is a user name and password for this registry, which are handed
	// out as they are.
	Login *Login `json:"login,omitempty"`
}

// Login is a user name and a file with the password: of the registry's admin
// user, of one of its tokens, or of a service principal.
type Login struct {
	Username     string `json:"username,omitempty"`
	PasswordFile string `json:"passwordFile,omitempty"`
}

// entry is a compiled Registry: an identity or a login.
type entry struct {
	identity nodeIdentity
	login    *Login
}

// compileRegistries checks the registries that have an identity or a password
// of their own.
func (s *Settings) compileRegistries(p *provider, _ plugin.Run) error {
	p.registries = map[string]entry{}
	for _, host := range slices.Sorted(maps.Keys(s.Registries)) {
		field := fmt.Sprintf("registries[%q]", host)
		server, err := p.suffixes.parseLoginServer(host)
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		if _, twice := p.registries[server.host]; twice {
			return fmt.Errorf("%s: there twice", field)
		}
		r := s.Registries[host]
		var e entry
		if r.Login != nil {
			e.login, err = r.Login, r.checkLogin(field)
		} else {
			e.identity, err = r.compile(field, p.node, server)
		}
		if err != nil {
			return err
		}
		p.registries[server.host] = e
	}
	return nil
}

func (r Registry) checkLogin(field string) error {
	switch {
	case r.Identity != Identity{}:
		return fmt.Errorf("%s.login: an identity too", field)
	case r.Login.Username == "" || strings.ContainsAny(r.Login.Username, ":\r\n"):
		return fmt.Errorf("%s.login.username: empty, or with a colon", field)
	case !filepath.IsAbs(r.Login.PasswordFile):
		return fmt.Errorf("%s.login.passwordFile: %w: %q", field, errPath, r.Login.PasswordFile)
	}
	return nil
}

// compile returns the node's identity for a login server. It is whole: what it
// leaves out is not the node's, but cloud and, in the same cloud, tenant. A
// tenant alone is that of the registry, in which the node's application is
// known too.
func (r Registry) compile(field string, node nodeIdentity, server loginServer) (nodeIdentity, error) {
	n := nodeIdentity{Identity: r.Identity, cloud: node.cloud, name: func(name string) string { return field + "." + name }}
	foreign := false
	if n.Cloud != "" && !strings.EqualFold(n.Cloud, n.cloud.name) {
		c, known := findCloud(n.Cloud)
		if !known {
			return nodeIdentity{}, fmt.Errorf("%s.cloud: not a known cloud: %.80q", field, n.Cloud)
		}
		if foreign = !n.cloud.is(c); foreign {
			n.cloud = c
		}
	}
	if server.cloud != n.cloud.name {
		return nodeIdentity{}, fmt.Errorf("%s.cloud: the login server is of %s, not %s", field, server.cloud, n.cloud.name)
	}
	if !n.named() {
		if foreign || n.TenantID == "" {
			return nodeIdentity{}, fmt.Errorf("%s: no identity: want credential, login, or the tenantID of a registry that the node's application pulls from", field)
		}
		return node.inTenant(n.TenantID, field+".tenantID")
	}
	switch {
	case foreign && (n.ofMachine() || n.kind() == federatedManaged):
		return nodeIdentity{}, fmt.Errorf("%s.credential: a managed identity is of the node's cloud, %s, and its tokens do not go to %s", field, node.cloud.name, n.cloud.name)
	case n.TenantID == "" && !foreign:
		n.TenantID = node.TenantID
	}
	return n, n.check()
}

// inTenant returns the node's application in another tenant than its own, in
// which it is known too.
func (n nodeIdentity) inTenant(tenant, field string) (nodeIdentity, error) {
	switch {
	case !isTenant(tenant):
		return nodeIdentity{}, fmt.Errorf("%s: %w: %.80q", field, errTenant, tenant)
	case n.err == nil && n.ofMachine():
		return nodeIdentity{}, fmt.Errorf("%s: without a credential it is for the node's application, and the node has a managed identity, which is of one tenant: want credential too, such as %s", field, federatedManaged)
	}
	n.TenantID = tenant
	return n, nil
}
