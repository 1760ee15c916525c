// Package acr answers for the login servers of Azure Container Registry.
package acr

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/image"
	"regcred/shared/plugin"
	"regcred/shared/serviceaccount"
)

var (
	//go:embed guide.txt
	guide string

	// nodeConfig is the kubelet configuration that --help and the
	// documentation show.
	//go:embed node.yaml
	nodeConfig string
)

// Plugin describes acr-credential-provider.
func Plugin() plugin.Plugin {
	return plugin.Plugin{
		Name:  "acr-credential-provider",
		Guide: guide + nodeConfig,
		Kind:  "ACRCredentialProviderConfig",
		New: func() plugin.Settings {
			s := &Settings{Audience: defaultAudience, Scope: perRegistry}
			s.CertificateAuthority = clusterAuthority()
			return s
		},
	}
}

// clusterAuthority is where nodes of AKS have the certificate of their cluster.
func clusterAuthority() string {
	if runtime.GOOS == "windows" {
		return `c:\k\ca.crt`
	}
	return "/etc/kubernetes/certs/ca.crt"
}

// Service account annotations, as the plugin of
// kubernetes-sigs/cloud-provider-azure reads them. The kubelet passes only
// those that its configuration lists.
const (
	// clientAnnotation is the client id of the application, or of the managed
	// identity, that the service account pulls as.
	clientAnnotation = "kubernetes.azure.com/acr-client-id"

	// tenantAnnotation is that application's tenant.
	tenantAnnotation = "kubernetes.azure.com/acr-tenant-id"
)

// provider is Azure with compiled settings.
type provider struct {
	fallback      credential.NodeFallback
	identityScope serviceaccount.Scope

	node       nodeIdentity
	suffixes   suffixes
	registries map[string]entry  // by login server
	mirrors    map[string]mirror // by the canonical form of what they mirror
	bindings   *bindings         // nil where pods ask Entra themselves

	audience      string
	perRepository bool
	anonymous     bool
	endpoints     *endpoints
}

var _ credential.NodeIdentifier = (*provider)(nil)

// Answer decides by the host whether a registry is a login server and of which
// cloud, and by the request and the settings with whose identity a token is
// asked for.
func (p *provider) Answer(request credential.Request) (credential.Answer, error) {
	source, err := p.source(request)
	if source == nil || err != nil {
		return credential.Answer{}, err
	}
	// The password of a plain login is good for all of its registry even so;
	// the kubelet is not told, and asks for each image.
	return credential.Answer{Source: source, PerImage: p.perRepository, Anonymous: p.anonymousPattern(request.Image.Registry)}, nil
}

func (p *provider) source(request credential.Request) (credential.Source, error) {
	if m, ok := p.mirrors[request.Image.Registry.Canonical()]; ok {
		// The operator has said whose images these are: also a pod with an
		// identity of its own gets them as the node.
		return p.asNode(request, m.server, m.repository(request.Image.Repository))
	}
	server, ok := p.suffixes.parse(request.Registry)
	if !ok {
		return nil, nil
	}
	if request.Pod == nil && p.bindings != nil && !p.fallback.All() {
		return nil, errors.New("no service account token in the request, which --ib-sni-name needs and static pods do not have: set tokenAttributes in the kubelet's configuration, or let everybody pull as the node with --node-fallback")
	}
	return credential.Choose(request, p.fallback, credential.Identities{
		Pod:    func(pod *serviceaccount.Token) (credential.Source, error) { return p.asPod(pod, request, server) },
		Node:   func() (credential.Source, error) { return p.asNode(request, server, request.Image.Repository) },
		Remedy: p.remedy(),
	})
}

// remedy says what a pod without an identity lacks.
func (p *provider) remedy() string {
	if p.bindings != nil {
		return "annotate it with " + clientAnnotation + " and list that annotation in the kubelet's tokenAttributes, set --ib-default-client-id"
	}
	return "annotate it with " + clientAnnotation + " and " + tenantAnnotation + " and list those annotations in the kubelet's tokenAttributes"
}

// asPod returns the source of a pod's own identity, or nil for a pod that names
// none.
func (p *provider) asPod(pod *serviceaccount.Token, request credential.Request, server loginServer) (credential.Source, error) {
	client, tenant := request.Annotations[clientAnnotation], request.Annotations[tenantAnnotation]
	if client != "" && !isGUID(client) {
		return nil, fmt.Errorf("annotation %s: %w: %.80q", clientAnnotation, errGUID, client)
	}
	if tenant != "" && !isTenant(tenant) {
		return nil, fmt.Errorf("annotation %s: %w: %.80q", tenantAnnotation, errTenant, tenant)
	}
	if p.bindings != nil {
		client, tenant = cmp.Or(client, p.bindings.client), cmp.Or(tenant, p.bindings.tenant)
	}
	if client == "" {
		return nil, nil
	}
	entra, tenant, err := p.podIdentity(pod, server, client, tenant)
	if err != nil {
		return nil, err
	}
	return p.registryToken(server, request.Image.Repository, entra, tenant), nil
}

// podIdentity returns the source of a pod's Entra token, and the tenant that it
// is of.
func (p *provider) podIdentity(pod *serviceaccount.Token, server loginServer, client, tenant string) (entraSource, string, error) {
	if p.bindings != nil {
		// A binding is of the cluster's own cloud.
		if own := p.node.cloud.name; server.cloud != own {
			return nil, "", fmt.Errorf("registry of cloud %s, while identity bindings are of the cluster's own, %s: the pod cannot pull from it; entries in registries are the node's", server.cloud, own)
		}
		return &identityBinding{bindings: p.bindings, client: client, audience: p.audience, pod: pod, identityScope: p.identityScope, endpoints: p.endpoints}, tenant, nil
	}
	node := p.identityAt(server)
	if err := node.serves(server); err != nil {
		return nil, "", err
	}
	cloud := node.cloud
	if tenant == "" && cloud.name == p.node.cloud.name {
		tenant = p.node.TenantID
	}
	switch {
	case tenant == "":
		return nil, "", fmt.Errorf("annotate it with %s too, and list that annotation in the kubelet's tokenAttributes, or set --tenant-id", tenantAnnotation)
	case cloud.authority == "":
		return nil, "", cloud.errAuthority()
	}
	auth := podAuth{pod: pod, identityScope: p.identityScope, audience: cloud.assertionAudience}
	return &application{authority: cloud.authority, tenant: tenant, client: client, audience: p.audience, auth: auth, endpoints: p.endpoints}, tenant, nil
}

// asNode returns the source of the node's credential: the registry's own entry,
// or what the node pulls everything else with.
func (p *provider) asNode(request credential.Request, server loginServer, repository string) (credential.Source, error) {
	entry, found := p.registries[server.host]
	switch {
	case !found:
		entry.identity = p.node
	case entry.login != nil:
		// A password is handed out as it is, so who is asked is whom it is of.
		if own, ok := p.suffixes.parse(request.Image.Registry); !ok || own.host != server.host {
			return nil, errLogin(server)
		}
		setting := fmt.Sprintf("registries[%q].login.passwordFile", server.host)
		return &file.Login{Plugin: "acr", Host: server.host, Username: entry.login.Username, PasswordFile: entry.login.PasswordFile, Setting: setting}, nil
	}
	entra, err := entry.identity.source(p, server)
	if err != nil {
		return nil, err
	}
	return p.registryToken(server, repository, entra, entry.identity.TenantID), nil
}

// errLogin is the error of images that another host's password would be handed
// out for.
func errLogin(server loginServer) error {
	return fmt.Errorf("the login of %s in registries is for that host alone, and is not sent to one that stands for it: give %s an identity there instead", server.host, server.host)
}

// registryToken returns the source of what the kubelet is answered: a registry
// token for the Entra token. The registry is told of the tenant.
func (p *provider) registryToken(server loginServer, repository string, entra entraSource, tenant string) credential.Source {
	refresh := &refreshToken{server: server, tenant: tenant, entra: entra, endpoints: p.endpoints}
	if p.perRepository {
		return credential.Login(tokenUser, &accessToken{repository: repository, refresh: refresh})
	}
	return credential.Login(tokenUser, refresh)
}

// identityAt returns the node's identity at a registry, whose Entra pods ask too.
func (p *provider) identityAt(server loginServer) nodeIdentity {
	if entry, found := p.registries[server.host]; found && entry.login == nil {
		return entry.identity
	}
	return p.node
}

// anonymousPattern is the pattern of the login servers that are like one. Under
// it the kubelet finds, after the credential, that it may pull without.
func (p *provider) anonymousPattern(r image.Registry) string {
	if _, ok := p.suffixes.parse(r); !ok || !p.anonymous {
		return ""
	}
	_, rest, _ := strings.Cut(r.String(), ".")
	return "*." + rest
}

// NodeIdentity returns the source of the node's Entra token.
func (p *provider) NodeIdentity() (credential.TokenSource, error) {
	return p.node.source(p, loginServer{cloud: p.node.cloud.name})
}
