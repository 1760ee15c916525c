package ocir

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/image"
	"regcred/shared/plugin"
	"regcred/shared/settings"
)

// What the node proves its identity with, the values of --auth-method. They are
// those of credential-provider-oke and one more, in any case.
const (
	instancePrincipal = "instance_principal"
	userPrincipal     = "user_principal"
	resourcePrincipal = "resource_principal"
)

// Whose word is taken for a pod, the values of --pod-identity and of the
// annotation.
const (
	noIdentity       = "none"
	workloadIdentity = "workload"
	tokenExchange    = "exchange"
)

// What an identity domain exchanges a pod's token for.
const (
	tokenOfUser     = "upst"
	tokenOfResource = "rpst"
)

// Settings are the plugin's own and those that every plugin has.
type Settings struct {
	settings.Common

	// AuthMethod is what the node proves its identity with.
	AuthMethod string `json:"authMethod,omitempty"`

	// OCIConfig names the configuration file of Oracle's command line that
	// user_principal reads, and Profile is the part of it.
	OCIConfig string `json:"ociConfig,omitempty"`
	Profile   string `json:"profile,omitempty"`

	// PodIdentity is whose word is taken for pods: none, workload for that of an
	// enhanced OKE cluster, or exchange for that of an identity domain. A service
	// account's annotation wins over it.
	PodIdentity string `json:"podIdentity,omitempty"`

	// ClusterHost is the address of the cluster's API server, and ClusterCAFile
	// names the PEM file of the only authorities that are trusted there.
	ClusterHost   string `json:"clusterHost,omitempty"`
	ClusterCAFile string `json:"clusterCAFile,omitempty"`

	// IdentityDomain is the URL of the identity domain that exchanges tokens of
	// pods, TokenType what for: rpst or upst. ResourceType is what the domain's
	// trust impersonates, for rpst.
	IdentityDomain string `json:"identityDomain,omitempty"`
	TokenType      string `json:"tokenType,omitempty"`
	ResourceType   string `json:"resourceType,omitempty"`

	// Verify lets a token be handed out only if it may read the image's
	// repository.
	Verify bool `json:"verify,omitempty"`

	// Registries are more hosts of Oracle's registry, each as host or host:port.
	Registries []string `json:"registries,omitempty"`

	// RealmDomains are more domains that registries end in, of realms that are
	// not known. An instance knows its own.
	RealmDomains []string `json:"realmDomains,omitempty"`

	// TokenPath is where registries give tokens.
	TokenPath string `json:"tokenPath,omitempty"`

	// MetadataURL is where version 2 of the instance metadata service is.
	MetadataURL string `json:"metadataURL,omitempty"`

	// FederationURL is where the machine's certificate is exchanged: a URL without a
	// path, or a host, of which https is meant. Empty means the service of the
	// node's region and realm.
	FederationURL string `json:"federationURL,omitempty"`

	// Logins are users' auth tokens, by the registry's host. They are handed out
	// as they are, as the node's.
	Logins map[string]Login `json:"logins,omitempty"`
}

// Login is the user name, NAMESPACE/USER or NAMESPACE/DOMAIN/USER, and a file
// with the auth token.
type Login struct {
	Username     string `json:"username"`
	PasswordFile string `json:"passwordFile"`
}

func defaults() *Settings {
	return &Settings{
		AuthMethod:    instancePrincipal,
		Profile:       "DEFAULT",
		PodIdentity:   noIdentity,
		ClusterCAFile: "/etc/kubernetes/ca.crt",
		TokenType:     tokenOfResource,
		TokenPath:     "/20180419/docker/token",
		MetadataURL:   metadataBase,
	}
}

// Flags defines the plugin's flags.
func (s *Settings) Flags(fs *pflag.FlagSet) {
	s.Common.Flags(fs)
	fs.StringVar(&s.AuthMethod, "auth-method", s.AuthMethod, "`what` the node proves its identity with: instance_principal, user_principal or resource_principal")
	fs.StringVar(&s.OCIConfig, "oci-config", s.OCIConfig, "configuration `file` of Oracle's command line, for user_principal; empty: .oci/config in the home directory")
	fs.StringVar(&s.Profile, "oci-profile", s.Profile, "`profile` in the file of --oci-config")
	fs.StringVar(&s.PodIdentity, "pod-identity", s.PodIdentity, "`how` pods prove who they are: none (the default), workload (OKE workload identity, in an enhanced cluster) or exchange (an identity domain's token exchange)")
	fs.StringVar(&s.ClusterHost, "cluster-host", s.ClusterHost, "`address` of the cluster's API server, for workload identity")
	fs.StringVar(&s.ClusterCAFile, "cluster-ca-file", s.ClusterCAFile, "PEM `file` of the only certificate authorities that the server of --cluster-host is verified with")
	fs.StringVar(&s.IdentityDomain, "identity-domain", s.IdentityDomain, "`URL` of the identity domain that exchanges pods' tokens")
	fs.StringVar(&s.TokenType, "token-type", s.TokenType, "`what` the identity domain exchanges pods' tokens for: rpst (a resource's) or upst (a user's)")
	fs.StringVar(&s.ResourceType, "resource-type", s.ResourceType, "`type` of the resource that the identity domain's trust impersonates, for rpst")
	fs.Var(&toggle{&s.Verify}, "verify", "hand a token out only if it may read the image's repository")
	fs.Lookup("verify").NoOptDefVal = "true"
	fs.StringSliceVar(&s.Registries, "registry", s.Registries, "one more `host` of Oracle's registry, with its port if it has one; repeatable")
	fs.StringSliceVar(&s.RealmDomains, "realm-domain", s.RealmDomains, "one more `domain` of a realm, which registries end in; repeatable")
	fs.StringVar(&s.TokenPath, "token-path", s.TokenPath, "`path` at which registries give tokens")
	fs.StringVar(&s.MetadataURL, "metadata-url", s.MetadataURL, "`URL` of version 2 of the instance metadata service")
	fs.StringVar(&s.FederationURL, "federation-url", s.FederationURL, "`URL` of the federation service, which exchanges instances' certificates; empty: that of the node's region")
	vendorVariables(fs)
	settings.Env(fs, "oci-config", "OCI_CONFIG_FILE")
	settings.Env(fs, "cluster-host", "KUBERNETES_SERVICE_HOST")
	settings.Env(fs, "cluster-ca-file", "OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH")
	settings.Env(fs, "metadata-url", "OCI_METADATA_BASE_URL")
	settings.Env(fs, "federation-url", "OCI_SDK_AUTH_CLIENT_REGION_URL")
}

// Provider compiles the settings.
func (s *Settings) Provider(run plugin.Run) (credential.Provider, error) {
	if err := checkProtocol(run.Getenv("REGISTRY_PROTOCOL")); err != nil {
		return nil, err
	}
	metadata, err := parseURL(s.MetadataURL, "http", "https")
	if err != nil {
		return nil, fmt.Errorf("metadataURL: %w", err)
	}
	if !strings.HasPrefix(s.TokenPath, "/") || strings.ContainsAny(s.TokenPath, "?#@ ") {
		return nil, fmt.Errorf("tokenPath: %.80q is not a path", s.TokenPath)
	}
	p := &provider{
		fallback:  s.NodeFallback,
		scope:     s.IdentityScope,
		verify:    s.Verify,
		tokenPath: s.TokenPath,
		endpoints: newEndpoints(metadata, s.CAFile, run.Getenv),
	}
	for _, compile := range []func(*provider, func(string) string) error{s.compileNode, s.compilePods, s.compileHosts, s.compileLogins} {
		if err := compile(p, run.Getenv); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// compileNode reads what the node's identity is.
func (s *Settings) compileNode(p *provider, getenv func(string) string) error {
	switch strings.ToLower(s.AuthMethod) {
	case instancePrincipal:
		if address := s.FederationURL; address != "" {
			if !strings.Contains(address, "://") {
				address = "https://" + address // as the SDK reads a host alone
			}
			var err error
			if p.endpoints.federation, err = parseOrigin(address, "https", "http"); err != nil {
				return fmt.Errorf("federationURL: %w", err)
			}
		}
		region := regionInfo{p.endpoints}
		p.node = principal{TokenSource: &instance{endpoints: p.endpoints, region: region}, node: &region, grant: grantGroup}
	case userPrincipal:
		home := cmp.Or(getenv("HOME"), getenv("USERPROFILE"), rootHome)
		path := inHome(cmp.Or(s.OCIConfig, "~/.oci/config"), home)
		if !filepath.IsAbs(path) {
			return fmt.Errorf("ociConfig: not an absolute path: %q", path)
		}
		p.node = principal{TokenSource: &profile{file: path, name: s.Profile, home: home}, local: true, grant: grantUser}
	case resourcePrincipal:
		if version := getenv(resourceVersion); version != "" && version != "2.2" {
			return fmt.Errorf("authMethod: %s=%.20q: only version 2.2 of resource principals is supported", resourceVersion, version)
		}
		p.node = principal{TokenSource: &resource{getenv}, local: true, grant: grantGroup}
	default:
		return fmt.Errorf("authMethod: %.40q is none of %s, %s, %s", s.AuthMethod, instancePrincipal, userPrincipal, resourcePrincipal)
	}
	return nil
}

// rootHome is where the kubelet's plugins, which seldom have HOME, are at home.
const rootHome = "/root"

// compilePods reads how pods prove who they are. Settings of a way that no pod
// takes by default are for service accounts that say so.
func (s *Settings) compilePods(p *provider, _ func(string) string) error {
	p.podIdentity = s.PodIdentity
	if s.ClusterHost != "" {
		if !filepath.IsAbs(s.ClusterCAFile) {
			return fmt.Errorf("clusterCAFile: not an absolute path: %q", s.ClusterCAFile)
		}
		host := strings.Trim(s.ClusterHost, "[]")
		bracketed := host
		if strings.Contains(host, ":") {
			bracketed = "[" + host + "]"
		}
		if r, err := image.ParseRegistry(bracketed); err != nil || r.Port() != "" {
			return fmt.Errorf("clusterHost: %.80q is neither an address nor a name", s.ClusterHost)
		}
		p.cluster = cluster{host, s.ClusterCAFile}
	}
	if s.IdentityDomain != "" {
		address, err := parseOrigin(s.IdentityDomain, "https")
		if err != nil {
			return fmt.Errorf("identityDomain: %w", err)
		}
		p.domain = domain{address, s.TokenType, s.ResourceType}
		switch {
		case s.TokenType != tokenOfUser && s.TokenType != tokenOfResource:
			return fmt.Errorf("tokenType: %.40q is neither %s nor %s", s.TokenType, tokenOfResource, tokenOfUser)
		case s.TokenType == tokenOfResource && s.ResourceType == "":
			return errors.New("resourceType: needed with tokenType rpst: what the domain's trust impersonates")
		}
	}
	if s.PodIdentity == noIdentity {
		return nil
	}
	if err := p.checkIdentity(s.PodIdentity); err != nil {
		return fmt.Errorf("podIdentity: %w", err)
	}
	return nil
}

// compileHosts reads which hosts are Oracle's besides those of the grammar.
func (s *Settings) compileHosts(p *provider, _ func(string) string) error {
	p.hosts = map[string]bool{}
	for _, host := range s.Registries {
		r, err := image.ParseRegistry(host)
		if err != nil {
			return fmt.Errorf("registries: %.80q: %w", host, err)
		}
		p.hosts[r.Canonical()] = true
	}
	for _, name := range s.RealmDomains {
		if !isHost(name) {
			return fmt.Errorf("realmDomains: %.80q is not a domain", name)
		}
		p.realmDomains = append(p.realmDomains, strings.ToLower(name))
	}
	return nil
}

// compileLogins reads users' auth tokens.
func (s *Settings) compileLogins(p *provider, _ func(string) string) error {
	p.logins = map[string]*file.Login{}
	for _, host := range slices.Sorted(maps.Keys(s.Logins)) {
		field, given := fmt.Sprintf("logins[%q]", host), s.Logins[host]
		r, err := image.ParseRegistry(host)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", field, err)
		case p.logins[r.Canonical()] != nil:
			return fmt.Errorf("%s: there twice", field)
		case !strings.Contains(given.Username, "/") || strings.ContainsAny(given.Username, ":\r\n"):
			return fmt.Errorf("%s.username: not NAMESPACE/USER", field)
		case !filepath.IsAbs(given.PasswordFile):
			return fmt.Errorf("%s.passwordFile: not an absolute path: %q", field, given.PasswordFile)
		}
		p.logins[r.Canonical()] = &file.Login{Plugin: "ocir", Host: r.Canonical(), Username: given.Username, PasswordFile: given.PasswordFile, Setting: field + ".passwordFile"}
	}
	return nil
}

// parseOrigin reads a URL without a path.
func parseOrigin(text string, schemes ...string) (string, error) {
	address, err := parseURL(text, schemes...)
	if err == nil && strings.Count(address, "/") > 2 {
		err = errors.New("a path in it")
	}
	return address, err
}

// parseURL reads a URL that a path is put after, without what would come between.
func parseURL(text string, schemes ...string) (string, error) {
	parsed, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, parsed.Scheme) || parsed.Hostname() == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return "", fmt.Errorf("not a URL such as %s://host.example.com", schemes[0])
	}
	return strings.TrimRight(parsed.String(), "/"), nil
}
