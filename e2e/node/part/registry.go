package part

import (
	"context"
	"net/http"

	"regcred/e2e/node/process"
	"regcred/e2e/node/registry"
)

const registryConfig = `version: 0.1
log:
  level: warn
storage:
  filesystem:
    rootdirectory: {{.Root}}
http:
  addr: {{.Address}}
`

// StartRegistry starts the registry behind the fronts.
func (p Place) StartRegistry(ctx context.Context) (*process.Process, error) {
	config, err := p.write("registry.yaml", registryConfig, map[string]string{
		"Root":    p.path("registry"),
		"Address": registry.Address,
	})
	if err != nil {
		return nil, err
	}
	started, err := p.start("registry", p.Programs.Registry, "serve", config)
	if err != nil {
		return nil, err
	}
	return started, started.Ready(ctx, answers(http.DefaultClient, "http://"+registry.Address+"/v2/"))
}
