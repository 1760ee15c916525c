package acr

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"regcred/shared/image"
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

	// What Complete has put together.
	node     holder
	suffixes suffixes
	entries  map[string]entry
	mirrors  map[string]mirror // by the canonical form of what they mirror
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

// entry is a Registry, checked.
type entry struct {
	holder holder
	login  *Login
}

// Flags defines the plugin's flags.
func (s *Settings) Flags(fs *pflag.FlagSet) {
	s.Common.Flags(fs)
	fs.StringVar(&s.AzureConfig, "azure-config", s.AzureConfig, "azure.json `file` with cloud, tenant and the node's identity; can be given as the argument too")
	s.flags(fs)
	fs.StringVar(&s.Authority, "authority", s.Authority, "`URL` of Entra, where it is not the cloud's known one")
	fs.StringVar(&s.Audience, "audience", s.Audience, "`audience` of tokens")
	fs.StringSliceVar(&s.RegistrySuffixes, "registry-suffix", s.RegistrySuffixes, "one more `domain` that login servers of the node's cloud end in; repeatable")
	fs.VarP(&mirrors{to: &s.RegistryMirrors}, "registry-mirror", "r", "answer for images of `SRC:DST[,SRC:DST]`, a registry, with the node's credential for its mirror, a login server or one with a path; repeatable")
	fs.StringVar(&s.Scope, "scope", s.Scope, "`what` a password is good for: registry, or repository (the image's own, to pull)")
	fs.BoolVar(&s.AnonymousFallback, "anonymous-fallback", s.AnonymousFallback, "let the kubelet pull without the credential where that was refused")
	fs.StringVar(&s.SNIName, "ib-sni-name", s.SNIName, "AKS identity bindings: `name` of the server that exchanges tokens")
	fs.StringVar(&s.APIServerIP, "ib-apiserver-ip", s.APIServerIP, "AKS identity bindings: `address` of that server, or a name that is looked up")
	fs.StringVar(&s.DefaultClientID, "ib-default-client-id", s.DefaultClientID, "AKS identity bindings: client `id` of pods whose service account names none")
	fs.StringVar(&s.DefaultTenantID, "ib-default-tenant-id", s.DefaultTenantID, "AKS identity bindings: `tenant` of pods whose service account names none")
	fs.StringVar(&s.CertificateAuthority, "ib-ca-file", s.CertificateAuthority, "AKS identity bindings: PEM `file` of the only certificate authorities to trust there")
}

// Complete takes the azure.json as the argument, as the vendor's plugin does,
// and reads what it and the file of an Azure Stack's environment say.
func (s *Settings) Complete(args []string, getenv func(string) string) error {
	switch {
	case len(args) > 1:
		return errors.New("more than one argument; want azure.json alone")
	case len(args) == 1 && s.AzureConfig != "" && s.AzureConfig != args[0]:
		return errors.New("azure.json is named twice: by the argument and by azureConfig")
	case len(args) == 1:
		s.AzureConfig = args[0]
	}
	s.node = holder{Identity: s.Identity}
	if s.AzureConfig != "" {
		if err := s.applyAzureConfig(); err != nil {
			return err
		}
	}
	if s.Cloud == "" {
		s.Cloud = publicCloud
	}
	s.node.TenantID = s.TenantID
	return s.finish(getenv)
}

// applyAzureConfig takes from the azure.json what is not said elsewhere: cloud,
// tenant and, as a whole, the node's identity.
func (s *Settings) applyAzureConfig() error {
	if !filepath.IsAbs(s.AzureConfig) {
		return fmt.Errorf("azureConfig: %q is not an absolute path", s.AzureConfig)
	}
	c, err := readAzureConfig(s.AzureConfig)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; leave it out to pull with the machine's managed identity", err)
	}
	if err != nil {
		return fmt.Errorf("azureConfig %s: %w", s.AzureConfig, err)
	}
	// Azure Arc says how the file's managed identity is got, and not which
	// one it is.
	atArc := s.onlyArc() && c.UseManagedIdentityExtension
	itsIdentity := atArc || !s.named()
	_, known := findCloud(c.Cloud)
	switch {
	case c.Cloud == "":
	case s.Cloud == "" && !known && !strings.EqualFold(c.Cloud, stackCloud):
		return fmt.Errorf("azureConfig %s: %w", s.AzureConfig, unknownCloud(c.Cloud))
	case s.Cloud == "":
		s.Cloud = c.Cloud
	case itsIdentity && cloudName(s.Cloud) != cloudName(c.Cloud):
		return fmt.Errorf("cloud: %.80q is given, and azureConfig %s is of %.80q, where its identity is from: identities do not leave their cloud; name one with --credential", s.Cloud, s.AzureConfig, c.Cloud)
	}
	if s.TenantID == "" {
		s.TenantID = c.TenantID
	}
	if itsIdentity {
		c.TenantID = s.TenantID
		s.node = c.holder(s.AzureConfig)
	}
	if atArc {
		s.node.Credential = arc
	}
	return nil
}

// finish finds out about the node's cloud and what registries and mirrors are.
func (s *Settings) finish(getenv func(string) string) error {
	var err error
	if s.node.cloud, err = s.nodeCloud(getenv); err != nil {
		return err
	}
	var configured []string
	if domain := s.node.cloud.registries; s.node.cloud.name == stackCloud && domain != "" {
		configured = append(configured, domain)
	}
	for _, text := range s.RegistrySuffixes {
		domain, err := parseSuffix(text)
		if err == nil {
			err = checkSuffix(domain, s.node.cloud.name)
		}
		if err != nil {
			return fmt.Errorf("registrySuffixes: %w", err)
		}
		configured = append(configured, domain)
	}
	if s.node.cloud.name == stackCloud && len(configured) == 0 && getenv(environmentVariable) == "" {
		return fmt.Errorf("cloud: %s needs a file that %s names, or registrySuffixes", stackCloud, environmentVariable)
	}
	s.suffixes = newSuffixes(s.node.cloud.name, configured)
	if err := s.finishRegistries(); err != nil {
		return err
	}
	return s.finishMirrors()
}

// nodeCloud returns the node's cloud with the authority that was configured.
func (s *Settings) nodeCloud(getenv func(string) string) (cloud, error) {
	c, known := findCloud(s.Cloud)
	if strings.EqualFold(s.Cloud, stackCloud) {
		c, known = cloud{name: stackCloud}, true
		if file := getenv(environmentVariable); file != "" {
			var err error
			if c, err = readEnvironment(file); err != nil {
				return cloud{}, fmt.Errorf("%s %s: %w", environmentVariable, file, err)
			}
		}
	}
	if !known {
		return cloud{}, unknownCloud(s.Cloud)
	}
	if s.Authority != "" {
		var err error
		if c.authority, err = parseAuthority(s.Authority); err != nil {
			return cloud{}, fmt.Errorf("authority: %w", err)
		}
	}
	return c, nil
}

// finishRegistries checks the registries that have an identity or a password of
// their own.
func (s *Settings) finishRegistries() error {
	s.entries = map[string]entry{}
	for _, host := range slices.Sorted(maps.Keys(s.Registries)) {
		server, err := s.suffixes.parseLoginServer(host)
		if err != nil {
			return fmt.Errorf("registries[%q]: %w", host, err)
		}
		if _, twice := s.entries[server.host]; twice {
			return fmt.Errorf("registries[%q]: is there twice", host)
		}
		if s.entries[server.host], err = s.entry(s.Registries[host], server); err != nil {
			return fmt.Errorf("registries[%q]: %w", host, err)
		}
	}
	return nil
}

// entry checks what is configured for a login server. An identity is whole:
// what it leaves out is not the node's, but cloud and tenant.
func (s *Settings) entry(r Registry, server loginServer) (entry, error) {
	if r.Login != nil {
		switch {
		case r.Identity != Identity{}:
			return entry{}, errors.New("login: there is an identity too")
		case r.Login.Username == "" || strings.ContainsAny(r.Login.Username, ":\r\n"):
			return entry{}, errors.New("login.username: is empty or has a colon")
		case !filepath.IsAbs(r.Login.PasswordFile):
			return entry{}, fmt.Errorf("login.passwordFile: %q is not an absolute path", r.Login.PasswordFile)
		}
		return entry{login: r.Login}, nil
	}
	h := holder{Identity: r.Identity, cloud: s.node.cloud}
	if !h.named() {
		return entry{}, errors.New("names no identity: want credential, or login")
	}
	if h.Cloud != "" && !strings.EqualFold(h.Cloud, h.cloud.name) {
		c, known := findCloud(h.Cloud)
		if !known {
			return entry{}, fmt.Errorf("cloud: %.80q is not a known cloud", h.Cloud)
		}
		if c.name != h.cloud.name {
			h.cloud = c
		}
	}
	foreign := h.cloud.name != s.node.cloud.name
	switch {
	case server.cloud != h.cloud.name:
		return entry{}, fmt.Errorf("cloud: the login server is of %s, not %s", server.cloud, h.cloud.name)
	case foreign && (h.ofMachine() || h.kind() == federatedManaged):
		return entry{}, fmt.Errorf("credential: a managed identity is of the node's cloud, %s, and its tokens do not go to %s", s.node.cloud.name, h.cloud.name)
	case h.TenantID == "" && !foreign:
		h.TenantID = s.TenantID
	}
	if err := h.check(); err != nil {
		return entry{}, err
	}
	return entry{holder: h}, nil
}

// Validate finds what the types allow and the meaning does not. An identity
// that the azure.json has is checked where it is needed.
func (s *Settings) Validate() error {
	if s.node.azureConfig == "" {
		if err := s.node.check(); err != nil {
			return err
		}
	}
	switch {
	case s.TenantID != "" && !isTenant(s.TenantID):
		return fmt.Errorf("tenantID: %.80q is neither the id of a tenant nor a domain", s.TenantID)
	case s.Scope != perRegistry && s.Scope != perRepository:
		return fmt.Errorf("scope: %q is neither registry nor repository", s.Scope)
	case s.Audience == "" || strings.ContainsFunc(s.Audience, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("audience: %.80q is not an audience", s.Audience)
	}
	return s.IdentityBindings.check()
}

// bound reports whether AKS exchanges the tokens of pods.
func (b IdentityBindings) bound() bool { return b.SNIName != "" }

func (b IdentityBindings) check() error {
	if !b.bound() {
		if b.APIServerIP != "" || b.DefaultClientID != "" || b.DefaultTenantID != "" {
			return errors.New("ibSNIName: is needed with the other settings of identity bindings")
		}
		return nil
	}
	name, err := image.ParseRegistry(b.SNIName)
	if err != nil || name.Port() != "" {
		return fmt.Errorf("ibSNIName: %.80q is not the name of a server, without a scheme", b.SNIName)
	}
	server, err := image.ParseRegistry(bracketed(b.APIServerIP))
	switch {
	case err != nil || server.Port() != "":
		return fmt.Errorf("ibAPIServerIP: %.80q is neither an address nor a name", b.APIServerIP)
	case b.DefaultClientID != "" && !isGUID(b.DefaultClientID):
		return fmt.Errorf("ibDefaultClientID: %.80q is not an id such as 00000000-0000-0000-0000-000000000000", b.DefaultClientID)
	case b.DefaultTenantID != "" && !isTenant(b.DefaultTenantID):
		return fmt.Errorf("ibDefaultTenantID: %.80q is neither the id of a tenant nor a domain", b.DefaultTenantID)
	case !filepath.IsAbs(b.CertificateAuthority):
		return fmt.Errorf("ibCAFile: %q is not an absolute path", b.CertificateAuthority)
	}
	return nil
}

// bracketed puts an address of IPv6 into brackets, as in a URL.
func bracketed(address string) string {
	if strings.Count(address, ":") > 1 && !strings.HasPrefix(address, "[") {
		return "[" + address + "]"
	}
	return address
}

// PerImage says what the operator did: a password for a repository is of no use
// for others. The password of a login in Registries is good for all of its
// registry even so; the kubelet is not told, and asks for each image.
func (s *Settings) PerImage() bool { return s.Scope == perRepository }

// Anonymous returns the pattern of the login servers that are like one. Under
// it the kubelet finds, after the credential, that it may pull without.
func (s *Settings) Anonymous(r image.Registry) string {
	if !s.AnonymousFallback {
		return ""
	}
	if _, ok := s.suffixes.parse(r); !ok {
		return ""
	}
	_, rest, _ := strings.Cut(r.String(), ".")
	return "*." + rest
}
