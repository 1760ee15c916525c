package main

import (
	"context"
	"path/filepath"
	"strings"

	"regcred/cmd/regcred/internal/helper"
	"regcred/cmd/regcred/internal/node"
)

// isHelper reports whether the tool was started by its other name.
func (a *app) isHelper() bool {
	return strings.TrimSuffix(filepath.Base(a.name), ".exe") == helper.Name
}

// runHelper is docker-credential-regcred.
func (a *app) runHelper(ctx context.Context, args []string) int {
	h := helper.Helper{Stdin: a.stdin, Stdout: a.out, Getenv: a.getenv, Find: a.findProviders}
	return h.Run(ctx, args)
}

// findProviders finds the node's providers for a client that cannot say where
// they are: those of the environment, of the kubelet that runs, or of the
// platform, as while a node image is made.
func (a *app) findProviders() (helper.Providers, error) {
	const config, binDir = "REGCRED_CONFIG", "REGCRED_BIN_DIR"
	options := node.Options{ProviderConfig: a.getenv(config), BinDir: a.getenv(binDir)}
	// A plugin would take the kubelet's configuration for its own settings.
	a.environ = without(a.environ, config, binDir)
	n, err := node.Find(options)
	if err != nil {
		return helper.Providers{}, err
	}
	if place, ok := n.Known(); ok && n.NeedProviders() != nil {
		options.ProviderConfig, options.BinDir = place.Config, place.BinDir
		if n, err = node.Find(options); err != nil {
			return helper.Providers{}, err
		}
	}
	p, err := a.providers(n)
	if err != nil {
		return helper.Providers{}, err
	}
	return helper.Providers{Config: p.Config, Runner: p.Runner}, nil
}
