// Package ocir answers for Oracle Cloud Infrastructure's registry.
package ocir

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	_ "regcred/plugins/ocir/quiet" // before the SDK
	"regcred/shared/credential"
	"regcred/shared/file"
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

// Plugin describes ocir-credential-provider.
func Plugin() plugin.Plugin {
	return plugin.Plugin{
		Name:  "ocir-credential-provider",
		Guide: guide + nodeConfig,
		Kind:  "OCIRCredentialProviderConfig",
		New:   func() plugin.Settings { return defaults() },
		// -config FILE is how credential-provider-oke is told of its file.
		GoFlags: true,
	}
}

// Service account annotations. The kubelet passes only those that its
// configuration lists.
const (
	// identityAnnotation says whose word is taken for the pods of a service
	// account: workload or exchange.
	identityAnnotation = "oci.oraclecloud.com/image-pull-identity"

	// resourceAnnotation is the type of resource that the identity domain's trust
	// impersonates for them.
	resourceAnnotation = "oci.oraclecloud.com/image-pull-resource-type"
)

// Which policy lets an identity pull.
const (
	grantGroup    = "a policy has to say: allow dynamic-group GROUP to read repos in compartment COMPARTMENT, for a group that matches it"
	grantUser     = "a policy has to say: allow group GROUP to read repos in compartment COMPARTMENT, for a group that the user is in"
	grantWorkload = "a policy has to say: allow any-user to read repos in compartment COMPARTMENT where all {request.principal.type='workload', request.principal.namespace='%s', request.principal.service_account='%s', request.principal.cluster_id='CLUSTER'}"
	grantExchange = "a policy has to let the identity that %s was exchanged for read repos in compartment COMPARTMENT"
)

// provider is Oracle's cloud with compiled settings.
type provider struct {
	fallback     credential.NodeFallback
	scope        serviceaccount.Scope
	endpoints    *endpoints
	node         principal
	podIdentity  string
	cluster      cluster // the zero value if there is none
	domain       domain  // the zero value if there is none
	verify       bool
	tokenPath    string
	hosts        map[string]bool // by the canonical form
	realmDomains []string
	logins       map[string]*file.Login // by the canonical form
}

var _ credential.NodeIdentifier = (*provider)(nil)

// Answer decides by the host whether a registry is Oracle's, and by the request
// and the settings with whose identity it is asked.
func (p *provider) Answer(request credential.Request) (credential.Answer, error) {
	registry, ok := p.registry(request)
	if !ok {
		return credential.Answer{}, nil
	}
	if isPublic(request.Image.Repository) {
		return credential.Answer{Source: anonymous{}, PerImage: true}, nil
	}
	source, err := credential.Choose(request, p.fallback, credential.Identities{
		Pod: func(pod *serviceaccount.Token) (credential.Source, error) { return p.pod(pod, request, registry) },
		Node: func() (credential.Source, error) {
			if login := p.logins[request.Registry.Canonical()]; login != nil {
				return p.login(login, request)
			}
			return p.pull(p.node, registry, request), nil
		},
		Remedy: "annotate it with " + identityAnnotation + " and list that annotation in the kubelet's tokenAttributes, set --pod-identity",
	})
	_, pulls := source.(*pull)
	return credential.Answer{Source: source, PerImage: p.verify && pulls}, err
}

// registry reports whether the request is about a registry of Oracle's: one that
// the settings name, or one of the grammar.
func (p *provider) registry(request credential.Request) (registry, bool) {
	host := request.Registry.Canonical()
	r, ok := parseRegistry(request.Registry)
	if p.hosts[host] || !ok {
		return registry{host: host}, p.hosts[host] || p.logins[host] != nil
	}
	if slices.Contains(p.realmDomains, r.domain) {
		r.foreign = false
	}
	// Only an instance can be asked whether the domain is its realm's.
	return r, !r.foreign || p.node.node != nil
}

// isPublic reports whether a repository holds images that OKE's nodes start with.
func isPublic(repository string) bool {
	_, name, _ := strings.Cut(repository, "/")
	return strings.HasPrefix(name, "oke-public-")
}

// pod returns the source of a pod's own identity, or nil for a pod that names
// none.
func (p *provider) pod(pod *serviceaccount.Token, request credential.Request, registry registry) (credential.Source, error) {
	identity := p.podIdentity
	if value := request.Annotations[identityAnnotation]; value != "" {
		identity = value
		if err := p.checkIdentity(identity); err != nil {
			return nil, fmt.Errorf("annotation %s: %w", identityAnnotation, err)
		}
	}
	own := principal{node: p.node.node}
	switch identity {
	case workloadIdentity:
		if !registry.foreign {
			// The token itself says which realm's it is, and the pod does not
			// depend on the metadata service.
			own.node = nil
		}
		own.TokenSource = &workload{endpoints: p.endpoints, cluster: p.cluster, pod: pod, scope: p.scope}
		own.grant = fmt.Sprintf(grantWorkload, pod.Namespace, pod.Name)
	case tokenExchange:
		domain := p.domain
		if value := request.Annotations[resourceAnnotation]; value != "" && domain.tokenType == tokenOfResource {
			domain.resourceType = value
		}
		own.TokenSource = &exchange{endpoints: p.endpoints, domain: domain, node: p.node, pod: pod, scope: p.scope}
		own.grant = fmt.Sprintf(grantExchange, pod)
	default:
		return nil, nil
	}
	source := p.pull(own, registry, request)
	source.pod = pod
	return source, nil
}

// checkIdentity reports whether the settings have what a way to a pod's identity
// needs.
func (p *provider) checkIdentity(identity string) error {
	switch {
	case identity != workloadIdentity && identity != tokenExchange:
		return fmt.Errorf("%.40q is neither %s nor %s", identity, workloadIdentity, tokenExchange)
	case identity == workloadIdentity && p.cluster.host == "":
		return fmt.Errorf("%s needs --cluster-host", identity)
	case identity == tokenExchange && p.domain.url == "":
		return fmt.Errorf("%s needs --identity-domain", identity)
	}
	return nil
}

// login returns the source of a user's auth token. A password is handed out as it
// is, so who is asked is whom it is of.
func (p *provider) login(l *file.Login, request credential.Request) (credential.Source, error) {
	if request.Image.Registry.Canonical() != l.Host {
		return nil, fmt.Errorf("the login of %s in logins is for that host alone, and is not sent to one that stands for it", l.Host)
	}
	return l, nil
}

func (p *provider) pull(principal principal, registry registry, request credential.Request) *pull {
	source := &pull{token: &registryToken{endpoints: p.endpoints, registry: registry, path: p.tokenPath, principal: principal}}
	if p.verify {
		source.repository = request.Image.Repository
	}
	return source
}

// NodeIdentity returns the source of the node's principal.
func (p *provider) NodeIdentity() (credential.TokenSource, error) { return p.node.TokenSource, nil }
