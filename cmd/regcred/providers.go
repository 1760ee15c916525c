package main

import (
	"context"
	"fmt"

	"regcred/cmd/regcred/internal/node"
	"regcred/cmd/regcred/internal/replay"
	"regcred/shared/kubelet"
)

// providers loads what a node's kubelet has for pulls: its credential providers
// and where it looks for docker configuration.
func (a *app) providers(n *node.Node) (replay.Node, error) {
	if err := n.NeedProviders(); err != nil {
		return replay.Node{}, err
	}
	config, err := kubelet.Load(n.Path(n.ProviderConfig))
	if err != nil {
		return replay.Node{}, err
	}
	environ := n.Env
	if environ == nil {
		environ = a.environ // another user's kubelet does not tell
	}
	return replay.Node{
		Config: config,
		Runner: kubelet.Runner{BinDir: n.Path(n.BinDir), Environ: environ, Dir: n.Path(n.WorkDir)},
		Files:  n.DockerFiles(),
	}, nil
}

// logins returns what the node has for an image of a pod without pull secrets
// or an identity of its own, in the kubelet's order, and what its providers
// could not do.
func logins(ctx context.Context, n replay.Node, image string) ([]kubelet.Candidate, []error) {
	result, err := n.Ask(ctx, replay.Request{Image: image})
	if err != nil {
		return nil, []error{err}
	}
	var failed []error
	for _, outcome := range result.Failures() {
		failed = append(failed, fmt.Errorf("provider %s: %w", outcome.Provider.Name, outcome.Err))
	}
	return result.Candidates, failed
}
