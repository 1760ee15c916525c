package acr

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/image"
	"regcred/shared/plugin"
	"regcred/shared/settings"
)

// What the password of an answer is good for, the values of --scope.
const (
	perRegistry   = "registry"
	perRepository = "repository"
)

// defaultAudience is whom tokens are for. Registries accept it in every cloud
// and however they are set up; Resource Manager's only if they are told to.
const defaultAudience = "https://containerregistry.azure.net"

// Settings are the plugin's own and those that every plugin has.
type Settings struct {
	settings.Common

	// Identity is the node's. If it is set here in any part but tenant and
	// cloud, that of the azure.json is not looked at.
	Identity

	// AzureConfig names the cloud provider's configuration, azure.json, which
	// has the cloud, the tenant and the node's identity. Empty reads none.
	AzureConfig string `json:"azureConfig,omitempty"`

	// Authority is the URL of Entra, where it is not the cloud's known one.
	Authority string `json:"authority,omitempty"`

	// Audience is whom tokens are for.
	Audience string `json:"audience,omitempty"`

	// RegistrySuffixes are more domains that login servers of the node's
	// cloud end in.
	RegistrySuffixes []string `json:"registrySuffixes,omitempty"`

	// RegistryMirrors maps registries, as host or host:port, to the login
	// servers that mirror them, with or without a path before the names of
	// repositories. Such images are pulled as the node, also by pods that have
	// an identity.
	RegistryMirrors map[string]string `json:"registryMirrors,omitempty"`

	// Scope is what the password of an answer is good for: registry, or
	// repository, which is the image's own and to pull.
	Scope string `json:"scope,omitempty"`

	// AnonymousFallback lets the kubelet pull without the credential where it
	// was refused.
	AnonymousFallback bool `json:"anonymousFallback,omitempty"`

	// IdentityBindings are AKS's.
	IdentityBindings

	// Registries are login servers with an identity or a password of their
	// own, by host.
	Registries map[string]Registry `json:"registries,omitempty"`
}

// IdentityBindings say where AKS exchanges the tokens of pods whose identities
// are bound to the cluster. Nothing set means that it does not.
type IdentityBindings struct {
	// SNIName is the name of the server that exchanges, and APIServerIP where
	// it is: an address, or a name that is looked up.
	SNIName     string `json:"ibSNIName,omitempty"`
	APIServerIP string `json:"ibAPIServerIP,omitempty"`

	// DefaultClientID and DefaultTenantID are of pods whose service account
	// names none.
	DefaultClientID string `json:"ibDefaultClientID,omitempty"`
	DefaultTenantID string `json:"ibDefaultTenantID,omitempty"`

	// CertificateAuthority names the PEM file of the only authorities that
	// are trusted there.
	CertificateAuthority string `json:"ibCAFile,omitempty"`
}

// Flags defines the plugin's flags.
func (s *Settings) Flags(fs *pflag.FlagSet) {
	s.Common.Flags(fs)
	fs.StringVar(&s.AzureConfig, "azure-config", s.AzureConfig, "azure.json `file` with cloud, tenant and the node's identity; can be given as the argument too")
	s.flags(fs)
	fs.StringVar(&s.Authority, "authority", s.Authority, "`URL` of Entra, where it is not the cloud's known one")
	fs.StringVar(&s.Audience, "audience", s.Audience, "`audience` of tokens")
	fs.StringSliceVar(&s.RegistrySuffixes, "registry-suffix", s.RegistrySuffixes, "one more `domain` that login servers of the node's cloud end in; repeatable")
	fs.VarP(&mirrorFlag{to: &s.RegistryMirrors}, "registry-mirror", "r", "`SRC:DST[,SRC:DST]`: answer for images of registry SRC with the node's credential for its mirror DST, a login server with or without a path; repeatable")
	fs.StringVar(&s.Scope, "scope", s.Scope, "`what` a password is good for: registry, or repository (the image's own, to pull)")
	fs.BoolVar(&s.AnonymousFallback, "anonymous-fallback", s.AnonymousFallback, "let the kubelet pull without the credential where that was refused")
	fs.StringVar(&s.SNIName, "ib-sni-name", s.SNIName, "AKS identity bindings: `name` of the server that exchanges tokens")
	fs.StringVar(&s.APIServerIP, "ib-apiserver-ip", s.APIServerIP, "AKS identity bindings: `address` of the server of --ib-sni-name, or a name that is looked up")
	fs.StringVar(&s.DefaultClientID, "ib-default-client-id", s.DefaultClientID, "AKS identity bindings: client `id` of pods whose service account names none")
	fs.StringVar(&s.DefaultTenantID, "ib-default-tenant-id", s.DefaultTenantID, "AKS identity bindings: `tenant` of pods whose service account names none")
	fs.StringVar(&s.CertificateAuthority, "ib-ca-file", s.CertificateAuthority, "AKS identity bindings: PEM `file` of the only certificate authorities that the server of --ib-sni-name is verified with")
}

// Provider compiles the settings, with what azure.json says.
func (s *Settings) Provider(run plugin.Run) (credential.Provider, error) {
	p := &provider{
		fallback:      s.NodeFallback,
		identityScope: s.IdentityScope,
		audience:      s.Audience,
		perRepository: s.Scope == perRepository,
		anonymous:     s.AnonymousFallback,
		endpoints:     newEndpoints(s.CAFile, run.Getenv),
	}
	for _, compile := range []func(*provider, plugin.Run) error{
		s.check, s.compileNode, s.compileSuffixes, s.compileRegistries, s.compileMirrors, s.compileBindings,
	} {
		if err := compile(p, run); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// check finds what the types allow and the meaning does not.
func (s *Settings) check(*provider, plugin.Run) error {
	switch {
	case s.TenantID != "" && !isTenant(s.TenantID):
		return fmt.Errorf("tenantID: %w: %.80q", errTenant, s.TenantID)
	case s.Scope != perRegistry && s.Scope != perRepository:
		return fmt.Errorf("scope: neither registry nor repository: %q", s.Scope)
	case s.Audience == "" || strings.ContainsFunc(s.Audience, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("audience: empty, or with a character that no audience has: %.80q", s.Audience)
	}
	return nil
}

// compileNode finds out whose the node's identity is and of which cloud.
func (s *Settings) compileNode(p *provider, run plugin.Run) error {
	path, err := s.azureConfigPath(run.Args)
	if err != nil {
		return err
	}
	p.node = nodeIdentity{Identity: s.Identity, name: ownName}
	if path == "" {
		if err := p.node.check(); err != nil {
			return err
		}
	} else if p.node, err = s.withAzureConfig(path, run.Getenv); err != nil {
		return err
	}
	p.node.cloud, err = s.nodeCloud(cmp.Or(p.node.Cloud, publicCloud), run.Getenv)
	p.node.undescribed = p.node.cloud.name == stackCloud && run.Getenv(environmentVariable) == "" && s.Authority == "" && len(s.RegistrySuffixes) == 0
	return err
}

// nodeCloud returns the cloud of a name, with the authority that was configured.
func (s *Settings) nodeCloud(name string, getenv func(string) string) (c cloud, err error) {
	path, described := getenv(environmentVariable), strings.EqualFold(name, stackCloud)
	c, known := findCloud(name)
	switch {
	case described && path == "":
		c = cloud{name: stackCloud}
	case described:
		if c, err = readEnvironment(path); err != nil {
			return cloud{}, fmt.Errorf("%s %s: %w", environmentVariable, path, err)
		}
	case !known:
		return cloud{}, unknownCloud(name)
	}
	if s.Authority != "" {
		if c.authority, err = parseAuthority(s.Authority); err != nil {
			return cloud{}, fmt.Errorf("authority: %w", err)
		}
	}
	if described && path != "" {
		c = c.completed()
	}
	return c, nil
}

// compileSuffixes says what login servers end in.
func (s *Settings) compileSuffixes(p *provider, run plugin.Run) error {
	own := p.node.cloud
	var configured []string
	if own.name == stackCloud && own.registries != "" {
		configured = append(configured, own.registries)
	}
	for i, text := range s.RegistrySuffixes {
		domain, err := parseSuffix(text)
		if err == nil {
			err = checkSuffix(domain, own.name)
		}
		if err != nil {
			return fmt.Errorf("registrySuffixes[%d]: %w", i, err)
		}
		configured = append(configured, domain)
	}
	if strings.EqualFold(s.Cloud, stackCloud) && len(configured) == 0 && run.Getenv(environmentVariable) == "" {
		return fmt.Errorf("cloud: %s needs a file that %s names, or registrySuffixes", stackCloud, environmentVariable)
	}
	p.suffixes = newSuffixes(own.name, configured)
	return nil
}

// compileBindings checks where AKS exchanges the tokens of pods.
func (s *Settings) compileBindings(p *provider, _ plugin.Run) error {
	b := s.IdentityBindings
	if b.SNIName == "" {
		if b.APIServerIP != "" || b.DefaultClientID != "" || b.DefaultTenantID != "" {
			return errors.New("ibSNIName: missing, and the other settings of identity bindings need it")
		}
		return nil
	}
	name, err := image.ParseRegistry(b.SNIName)
	if err != nil || name.Port() != "" {
		return fmt.Errorf("ibSNIName: not the name of a server, without a scheme: %.80q", b.SNIName)
	}
	address, err := parseServer(b.APIServerIP)
	switch {
	case err != nil:
		return fmt.Errorf("ibAPIServerIP: %w", err)
	case b.DefaultClientID != "" && !isGUID(b.DefaultClientID):
		return fmt.Errorf("ibDefaultClientID: %w: %.80q", errGUID, b.DefaultClientID)
	case b.DefaultTenantID != "" && !isTenant(b.DefaultTenantID):
		return fmt.Errorf("ibDefaultTenantID: %w: %.80q", errTenant, b.DefaultTenantID)
	case !filepath.IsAbs(b.CertificateAuthority):
		return fmt.Errorf("ibCAFile: %w: %q", errPath, b.CertificateAuthority)
	}
	p.bindings = &bindings{server: b.SNIName, address: address, caFile: b.CertificateAuthority, client: b.DefaultClientID, tenant: b.DefaultTenantID}
	return nil
}

// parseServer reads an address or a name and returns HOST:PORT of HTTPS there.
func parseServer(text string) (string, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	bracketed := host
	if strings.Contains(host, ":") {
		bracketed = "[" + host + "]"
	}
	r, err := image.ParseRegistry(bracketed)
	if err != nil || r.Port() != "" {
		return "", fmt.Errorf("neither an address nor a name: %.80q", text)
	}
	return net.JoinHostPort(host, "443"), nil
}
