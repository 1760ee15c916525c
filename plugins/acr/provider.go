// Package acr answers for the login servers of Azure Container Registry.
package acr

import (
	_ "embed"
	"errors"
	"fmt"
	"runtime"

	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
	"regcred/shared/settings"
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
func Plugin() settings.Plugin {
	return settings.Plugin{
		Name:  "acr-credential-provider",
		Guide: guide + nodeConfig,
		Kind:  "ACRCredentialProviderConfig",
		New: func() settings.Settings {
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

// Provider returns the cloud with these settings.
func (s *Settings) Provider(getenv func(string) string) credential.Provider {
	return &provider{settings: s, place: place{audience: s.Audience, caFile: s.CAFile, arcFolder: arcFolder(getenv)}}
}

type provider struct {
	settings *Settings
	place    place
}

// place is what all ways to a token have in common.
type place struct {
	audience  string
	caFile    string
	arcFolder string
}

// Source decides by the host whether a registry is a login server and of which
// cloud, and by the request and the settings with whose identity a token is
// asked for.
func (p *provider) Source(request credential.Request) (credential.Source, error) {
	if m, ok := p.settings.mirrorOf(request.Image.Registry); ok {
		// The operator has said whose images these are.
		request.Image.Repository = m.repository(request.Image.Repository)
		return p.node(request, m.server)
	}
	server, ok := p.settings.suffixes.parse(request.Registry)
	if !ok {
		return nil, nil
	}
	if request.Pod == nil {
		if p.settings.bound() && !p.settings.NodeFallback {
			return nil, errors.New("the request has no service account token, which --ib-sni-name needs and static pods do not have: set tokenAttributes in the kubelet's configuration, or allow the node's identity with --node-fallback")
		}
		return p.node(request, server)
	}
	pod, err := p.pod(request, server)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", request.Pod, err)
	case pod != nil:
		return p.answer(request, server, pod, pod.who().tenant), nil
	case p.settings.NodeFallback:
		return p.node(request, server)
	default:
		return nil, p.nobody(request)
	}
}

// pod returns the source of a pod's own token, or nil for a pod that has no
// identity.
func (p *provider) pod(request credential.Request, server loginServer) (entraSource, error) {
	client, tenant := request.Annotations[clientAnnotation], request.Annotations[tenantAnnotation]
	if client != "" && !isGUID(client) {
		return nil, fmt.Errorf("annotation %s: %.80q is not an id such as 00000000-0000-0000-0000-000000000000", clientAnnotation, client)
	}
	if tenant != "" && !isTenant(tenant) {
		return nil, fmt.Errorf("annotation %s: %.80q is neither the id of a tenant nor a domain", tenantAnnotation, tenant)
	}
	if p.settings.bound() {
		return p.binding(request.Pod, server, client, tenant)
	}
	if client == "" {
		return nil, nil
	}
	cloud := p.cloudOf(server)
	if err := sameCloud(server, cloud); err != nil {
		return nil, err
	}
	if tenant == "" && cloud.name == p.settings.node.cloud.name {
		tenant = p.settings.TenantID
	}
	switch {
	case tenant == "":
		return nil, fmt.Errorf("annotate it with %s too, and list that annotation in the kubelet's tokenAttributes, or set --tenant-id", tenantAnnotation)
	case cloud.authority == "":
		return nil, fmt.Errorf("the authority of cloud %s is not known: set --authority", cloud.name)
	}
	return &application{
		authority: cloud.authority,
		tenant:    tenant,
		client:    client,
		audience:  p.place.audience,
		caFile:    p.place.caFile,
		proof:     podProof{pod: request.Pod, scope: p.settings.IdentityScope, federation: cloud.federation},
	}, nil
}

// binding returns the source of the token of an identity that is bound to the
// cluster, or nil for a pod that is bound to none. It is of the cluster's own
// cloud.
func (p *provider) binding(pod *serviceaccount.Token, server loginServer, client, tenant string) (entraSource, error) {
	if client == "" {
		client = p.settings.DefaultClientID
	}
	if tenant == "" {
		tenant = p.settings.DefaultTenantID
	}
	if client == "" {
		return nil, nil
	}
	if own := p.settings.node.cloud.name; server.cloud != own {
		return nil, fmt.Errorf("the registry is of cloud %s, and identity bindings of the cluster's own, %s: the pod can not pull from it; entries in registries are the node's", server.cloud, own)
	}
	return &identityBinding{
		bindings: p.settings.IdentityBindings,
		client:   client,
		tenant:   tenant,
		audience: p.place.audience,
		pod:      pod,
		scope:    p.settings.IdentityScope,
	}, nil
}

// nobody is the error of a pod that has no identity.
func (p *provider) nobody(request credential.Request) error {
	advice := "annotate it with " + clientAnnotation + " and " + tenantAnnotation + ", and list those annotations in the kubelet's tokenAttributes"
	if p.settings.bound() {
		advice = "annotate it with " + clientAnnotation + ", and list that annotation in the kubelet's tokenAttributes, or set --ib-default-client-id"
	}
	return fmt.Errorf("%s has no identity to pull with: %s, or allow the node's identity with --node-fallback", request.Pod, advice)
}

// node returns the source of the node's credential: the registry's own entry,
// or what the node pulls everything else with.
func (p *provider) node(request credential.Request, server loginServer) (credential.Source, error) {
	entry, found := p.settings.entries[server.host]
	switch {
	case !found:
		entry.holder = p.settings.node
	case entry.login != nil:
		// A password is handed out as it is, so who is asked is whom it is of.
		if own, ok := p.settings.suffixes.parse(request.Image.Registry); !ok || own.host != server.host {
			return nil, errLogin(server)
		}
		return &plainLogin{server: server.host, login: *entry.login}, nil
	}
	if err := sameCloud(server, entry.holder.cloud); err != nil {
		return nil, err
	}
	source, err := entry.holder.source(p.place)
	if err != nil {
		return nil, err
	}
	return p.answer(request, server, source, entry.holder.TenantID), nil
}

// errLogin is the error of images that another host's password would be handed
// out for.
func errLogin(server loginServer) error {
	return fmt.Errorf("the login of %s in registries is for that host alone, and is not sent to one that stands for it: give %s an identity there instead", server.host, server.host)
}

// answer returns the source of what the kubelet is answered: a registry token
// for the Entra token. The registry is told of the tenant.
func (p *provider) answer(request credential.Request, server loginServer, entra entraSource, tenant string) credential.Source {
	refresh := &refreshToken{server: server.host, tenant: tenant, entra: entra, caFile: p.place.caFile}
	if p.settings.Scope == perRepository {
		return &accessToken{repository: request.Image.Repository, refresh: refresh}
	}
	return refresh
}

// cloudOf returns the cloud whose Entra is asked about a registry.
func (p *provider) cloudOf(server loginServer) cloud {
	if entry, found := p.settings.entries[server.host]; found && entry.login == nil {
		return entry.holder.cloud
	}
	return p.settings.node.cloud
}

// sameCloud refuses to send the token of one cloud to a registry of another,
// whose operator is another one.
func sameCloud(server loginServer, c cloud) error {
	if server.cloud == c.name {
		return nil
	}
	return fmt.Errorf("the registry is of cloud %s, and the identity of %s: give it an identity of its own under registries, with cloud %s", server.cloud, c.name, server.cloud)
}
