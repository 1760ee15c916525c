package part

import (
	"context"
	"net"

	"regcred/e2e/node/process"
)

// Registries are found and trusted as on any machine: there is no hosts.toml.
const containerdConfig = `version = 3
root = "{{.Root}}"
state = "{{.State}}"

[grpc]
  address = "{{.Socket}}"

[ttrpc]
  address = "{{.Socket}}.ttrpc"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"

  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{{.Sandbox}}"

[plugins."io.containerd.cri.v1.runtime"]
  # The score cannot be lowered below the one this process has.
  restrict_oom_score_adj = true
`

// SandboxImage is what containerd itself pulls, once, without a credential: it
// holds the namespaces of a pod.
const SandboxImage = "registry.k8s.io/pause:3.10.2"

func (p Place) containerdSocket() string { return p.path("containerd.sock") }

// StartContainerd starts the container runtime.
func (p Place) StartContainerd(ctx context.Context) (*process.Process, error) {
	config, err := p.write("containerd.toml", containerdConfig, map[string]string{
		"Root":    p.path("containerd", "root"),
		"State":   p.path("containerd", "state"),
		"Socket":  p.containerdSocket(),
		"Sandbox": SandboxImage,
	})
	if err != nil {
		return nil, err
	}
	started, err := p.start("containerd", p.Programs.Containerd, "--config", config)
	if err != nil {
		return nil, err
	}
	return started, started.Ready(ctx, func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "unix", p.containerdSocket())
		if err != nil {
			return err
		}
		return connection.Close()
	})
}
