// Package icr answers for IBM Cloud Container Registry.
package icr

import (
	_ "embed"
	"fmt"

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

// Plugin describes icr-credential-provider.
func Plugin() plugin.Plugin {
	return plugin.Plugin{
		Name:  "icr-credential-provider",
		Guide: guide + nodeConfig,
		Kind:  "ICRCredentialProviderConfig",
		New:   func() plugin.Settings { return &Settings{IAMEndpoint: publicIAM} },
	}
}

// profileAnnotation is the service account annotation that names the trusted
// profile to pull as. The kubelet passes only those that its configuration lists.
const profileAnnotation = "iam.cloud.ibm.com/image-pull-profile"

// provider is IBM's cloud with compiled settings.
type provider struct {
	fallback  credential.NodeFallback
	scope     serviceaccount.Scope
	endpoints *endpoints
	node      credential.TokenSource
	profile   profile                // of pods whose service account names none
	logins    map[string]*file.Login // by host
}

var _ credential.NodeIdentifier = (*provider)(nil)

// Answer decides by the host whether a registry is IBM's, and by the request and
// the settings with whose identity IAM is asked. Its token is good for all
// registries alike, so the source does not depend on which one it is.
func (p *provider) Answer(request credential.Request) (credential.Answer, error) {
	var source credential.Source
	var err error
	switch {
	case isRegistry(request.Registry):
		source, err = credential.Choose(request, p.fallback, credential.Identities{
			Pod:    func(pod *serviceaccount.Token) (credential.Source, error) { return p.asPod(pod, request) },
			Node:   func() (credential.Source, error) { return p.asNode(request) },
			Remedy: "annotate it with " + profileAnnotation + " and list that annotation in the kubelet's tokenAttributes, set --pod-profile",
		})
	case isEntitled(request.Registry) && p.logins[entitledHost] != nil:
		// No identity is known there, so no pod can name one.
		if pod := request.Pod; pod != nil && !p.fallback.Allows(pod) {
			return credential.Answer{}, fmt.Errorf("%s: the entitlement key is the node's: let pods of its namespace pull with it by --node-fallback=%s", pod, p.fallback.With(pod.Namespace))
		}
		source, err = p.asNode(request)
	}
	return credential.Answer{Source: source}, err
}

// asPod returns the source of the trusted profile that a pod's token is
// exchanged for, or nil for a pod that has none.
func (p *provider) asPod(pod *serviceaccount.Token, request credential.Request) (credential.Source, error) {
	profile := p.profile
	if value := request.Annotations[profileAnnotation]; value != "" {
		var err error
		if profile, err = parseProfile(value); err != nil {
			return nil, fmt.Errorf("annotation %s: %w", profileAnnotation, err)
		}
	}
	if profile == noProfile {
		return nil, nil
	}
	return credential.Login(tokenUser, &podToken{pod: pod, scope: p.scope, profile: profile, endpoints: p.endpoints}), nil
}

// asNode returns the source of the node's credential: the registry's own login,
// or what the node pulls everything else with.
func (p *provider) asNode(request credential.Request) (credential.Source, error) {
	login, written := p.logins[request.Registry.Host()], request.Image.Registry
	switch {
	case login == nil:
		return credential.Login(tokenUser, p.node), nil
	case written.Host() != login.Host || !written.DefaultPort():
		// A password is handed out as it is, so who is asked is whom it is of.
		return nil, fmt.Errorf("the login of %s is for that host alone, and is not sent to one that stands for it", login.Host)
	default:
		return login, nil
	}
}

// NodeIdentity returns the source of the node's token of IAM.
func (p *provider) NodeIdentity() (credential.TokenSource, error) { return p.node, nil }
