// Package gcr answers for Google's registries: Container Registry and Artifact
// Registry.
package gcr

import (
	_ "embed"
	"fmt"

	"regcred/shared/credential"
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

// Plugin describes gcr-credential-provider.
func Plugin() plugin.Plugin {
	return plugin.Plugin{
		Name:  "gcr-credential-provider",
		Guide: guide + nodeConfig,
		Kind:  "GCRCredentialProviderConfig",
		New:   func() plugin.Settings { return newSettings() },
	}
}

// provider is a universe with compiled settings.
type provider struct {
	fallback      credential.NodeFallback
	identityScope serviceaccount.Scope
	flow          string
	perImage      bool

	// file holds the node's credentials off Google Cloud, and getenv looks up
	// what they may depend on.
	file   string
	getenv func(string) string

	// cluster vouches for pods that opt in, and defaultAudience for all others
	// whose service account names no provider.
	cluster, defaultAudience audience
	// serviceAccount is impersonated by pods that name none.
	serviceAccount string

	scopes    []string
	endpoints *endpoints
}

var _ credential.NodeIdentifier = (*provider)(nil)

// Answer decides by the host whether a registry is Google's, and by the request
// and the settings with whose identity a token is asked for. A token is good
// for every registry that its owner may read, so the Source does not depend on
// which it is. In the dockercfg flows the configuration decides, and any
// registry may be in it.
func (p *provider) Answer(request credential.Request) (credential.Answer, error) {
	identities := credential.Identities{
		Pod:    func(pod *serviceaccount.Token) (credential.Source, error) { return p.asPod(pod, request) },
		Node:   p.asNode,
		Remedy: p.remedy(request),
	}
	if p.flow != flowToken {
		// The configuration is the node's, and so no pod's.
		identities = credential.Identities{
			Pod:    func(*serviceaccount.Token) (credential.Source, error) { return nil, nil },
			Node:   func() (credential.Source, error) { return p.password(request) },
			Remedy: "leave tokenAttributes out of the kubelet's configuration, since --authFlow=" + p.flow + " has passwords of the node alone",
		}
	} else if _, ok := parseRegistry(request.Registry, p.endpoints.universe); !ok {
		return credential.Answer{}, nil
	}
	source, err := credential.Choose(request, p.fallback, identities)
	return credential.Answer{Source: source, PerImage: p.perImage}, err
}

// asPod returns the token of a pod's own principal, or of the Google service
// account that it impersonates. It is nil for a pod that no provider vouches for.
func (p *provider) asPod(pod *serviceaccount.Token, request credential.Request) (credential.Source, error) {
	audience, err := p.audience(request)
	if err != nil || audience == noAudience {
		return nil, err
	}
	email, where := p.serviceAccount, "--service-account"
	if value := request.Annotations[accountAnnotation]; value != "" {
		email, where = value, "annotation "+accountAnnotation
	}
	own := &federatedToken{endpoints: p.endpoints, pod: pod, identityScope: p.identityScope, audience: audience, scopes: p.scopes}
	if email == "" {
		return credential.Login(tokenUser, own), nil
	}
	if err := checkEmail(email); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	// Whatever the token is for in the end, IAM takes it for this scope alone.
	own.scopes = []string{everything}
	return credential.Login(tokenUser, &impersonatedToken{own: own, email: email, scopes: p.scopes}), nil
}

// audience says who vouches for a pod: whom its service account names, else
// whom the settings name.
func (p *provider) audience(request credential.Request) (audience, error) {
	if name := request.Annotations[providerAnnotation]; name != "" {
		a, err := providerAudience(name, p.endpoints.universe)
		if err != nil {
			return noAudience, fmt.Errorf("annotation %s: %w", providerAnnotation, err)
		}
		return a, nil
	}
	if request.Annotations[enableAnnotation] == "true" && p.cluster != noAudience {
		return p.cluster, nil
	}
	return p.defaultAudience, nil
}

// remedy says what a pod lacks that no provider vouches for.
func (p *provider) remedy(request credential.Request) string {
	switch {
	case p.cluster != noAudience:
		return "annotate it with " + enableAnnotation + `="true" and list that annotation in the kubelet's tokenAttributes`
	case request.Annotations[enableAnnotation] == "true":
		return "set --identity-provider and --project-id, which " + enableAnnotation + " needs"
	default:
		return "annotate it with " + providerAnnotation + " and list that annotation in the kubelet's tokenAttributes, set --workload-identity-provider, or on GKE --identity-provider and --project-id"
	}
}

// asNode returns the token of the node: of its file off Google Cloud, or of the
// instance's service account.
func (p *provider) asNode() (credential.Source, error) {
	if p.file != "" {
		return credential.Login(tokenUser, &fileToken{endpoints: p.endpoints, file: p.file, scopes: p.scopes, getenv: p.getenv}), nil
	}
	server, err := p.endpoints.metadataServer()
	if err != nil {
		return nil, err
	}
	return credential.Login(tokenUser, &instanceToken{server}), nil
}

// password returns what the node's docker configuration has for an image.
func (p *provider) password(request credential.Request) (credential.Source, error) {
	server, err := p.endpoints.metadataServer()
	if err != nil {
		return nil, err
	}
	return &dockerPassword{
		image:    request.Registry.Canonical() + "/" + request.Image.Repository,
		document: &dockerConfig{server: server, byURL: p.flow == flowConfigURL},
	}, nil
}

// NodeIdentity returns the source of the node's token, in the flow that has one.
func (p *provider) NodeIdentity() (credential.TokenSource, error) {
	if p.flow != flowToken {
		return nil, nil
	}
	source, err := p.asNode()
	if err != nil {
		return nil, err
	}
	_, token, _ := credential.TokenOf(source)
	return token, nil
}
