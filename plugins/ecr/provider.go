// Package ecr answers for Amazon Elastic Container Registry, private and
// public.
package ecr

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

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

// Plugin describes ecr-credential-provider.
func Plugin() plugin.Plugin {
	return plugin.Plugin{
		Name:  "ecr-credential-provider",
		Guide: guide + nodeConfig,
		Kind:  "ECRCredentialProviderConfig",
		New:   func() plugin.Settings { return &Settings{RoleAnnotations: []string{roleAnnotation}} },
	}
}

// provider is AWS with compiled settings.
type provider struct {
	fallback      credential.NodeFallback
	identityScope serviceaccount.Scope
	role          role // of pods whose service account names none
	annotations   []string
	accounts      map[string]identity // the node's, by Settings.Accounts' names
	endpoints     *endpoints
}

// Answer decides by the host whether a registry is ECR's, and by the request
// and the settings with whose identity ECR is asked.
func (p *provider) Answer(request credential.Request) (credential.Answer, error) {
	registry, ok := parseRegistry(request.Registry)
	if !ok {
		return credential.Answer{}, nil
	}
	source, err := credential.Choose(request, p.fallback, credential.Identities{
		Pod:    func(pod *serviceaccount.Token) (credential.Source, error) { return p.asPod(pod, request, registry) },
		Node:   func() (credential.Source, error) { return p.asNode(registry) },
		Remedy: "annotate it with " + strings.Join(p.annotations, " or ") + " and list that annotation in the kubelet's tokenAttributes, set --role-arn",
	})
	if errors.Is(err, credential.ErrNoIdentity) && registry.public {
		// Nobody's identity is needed there.
		source, err = anonymous{}, nil
	}
	return credential.Answer{Source: source}, err
}

// asPod returns the source of the role that a pod assumes with its own token, or
// nil for a pod that has none.
func (p *provider) asPod(pod *serviceaccount.Token, request credential.Request, registry registry) (credential.Source, error) {
	role, where := p.role, "--role-arn"
	for _, name := range p.annotations {
		if value := request.Annotations[name]; value != "" {
			var err error
			if role, err = parseRole(value); err != nil {
				return nil, fmt.Errorf("annotation %s: %w", name, err)
			}
			where = "annotation " + name
			break
		}
	}
	switch {
	case role == noRole:
		return nil, nil
	case role.partition != registry.partition && registry.public:
		return anonymous{}, nil
	case role.partition != registry.partition:
		return nil, fmt.Errorf("%s: %w", where, errPartition(role, registry))
	}
	return p.source(registry, identity{pod: pod, identityScope: p.identityScope, role: role}), nil
}

// asNode returns the source of the node's identity, or of the one that the
// settings name for the registry.
func (p *provider) asNode(registry registry) (credential.Source, error) {
	names := []string{registry.account, registry.partition}
	if registry.public {
		names[0] = publicAccount
	}
	for _, name := range names {
		i, ok := p.accounts[name]
		if !ok {
			continue
		}
		if i.role != noRole && i.role.partition != registry.partition {
			return nil, fmt.Errorf("accounts[%q].roleARN: %w", name, errPartition(i.role, registry))
		}
		return p.source(registry, i), nil
	}
	return p.source(registry, identity{}), nil
}

func (p *provider) source(registry registry, identity identity) *source {
	return &source{registry: registry, identity: identity, endpoints: p.endpoints, environment: p.endpoints.environment(identity)}
}

// errPartition is the error of a role that no service of the registry's
// partition knows.
func errPartition(role role, registry registry) error {
	return fmt.Errorf("role of partition %s, while %s is in %s", role.partition, registry, registry.partition)
}
