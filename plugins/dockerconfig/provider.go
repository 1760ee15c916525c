// Package dockerconfig answers with what docker configurations on the node say:
// logins, and the credential helpers that have them.
package dockerconfig

import (
	_ "embed"

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

// Plugin describes dockerconfig-credential-provider.
func Plugin() plugin.Plugin {
	return plugin.Plugin{
		Name:     "dockerconfig-credential-provider",
		Guide:    guide + nodeConfig,
		Kind:     "DockerConfigCredentialProviderConfig",
		Defaults: setDefaults,
		New:      newSettings,
	}
}

// provider is the node's docker configurations.
type provider struct {
	fallback  credential.NodeFallback
	documents []document // in the order in which they count
	helpers   *helpers

	// problems are those of files in the usual places that cannot be used.
	problems []error
}

// Answer decides by the keys of the configurations whether a registry is theirs.
// What they say is the node's: no pod has an identity there.
func (p *provider) Answer(request credential.Request) (credential.Answer, error) {
	candidates := p.find(request.Registry, request.Image.Repository)
	if len(candidates) == 0 {
		if len(p.problems) > 0 {
			return credential.Answer{}, p.problems[0]
		}
		return credential.Answer{}, nil
	}
	source, err := credential.Choose(request, p.fallback, credential.Identities{
		Pod: func(*serviceaccount.Token) (credential.Source, error) { return nil, nil },
		Node: func() (credential.Source, error) {
			return &search{candidates: candidates, helpers: p.helpers, problems: p.problems}, nil
		},
		Remedy: "a docker configuration is the node's, so take tokenAttributes out of the plugin's entry",
	})
	if err != nil {
		return credential.Answer{}, err
	}
	return credential.Answer{Source: source, PerImage: p.perImage(request.Registry), Unkept: true}, nil
}
