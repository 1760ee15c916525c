package cri

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sockets are where runtimes that a kubelet uses listen, a platform's own
// before the common one: a node of k3s may have docker's containerd too.
func sockets() []string {
	return []string{
		"/run/k3s/containerd/containerd.sock",
		"/run/k0s/containerd.sock",
		"/var/snap/microk8s/common/run/containerd.sock",
		"/run/crio/crio.sock",
		"/run/cri-dockerd.sock",
		"/run/containerd/containerd.sock",
	}
}

// Find connects to the node's runtime: that of an endpoint that was given, else
// the kubelet's, else the only one that is there. Root is the root of the
// node's file tree.
func Find(ctx context.Context, root, given, kubelets string) (*Runtime, error) {
	if given != "" {
		return Connect(ctx, given)
	}
	if kubelets != "" {
		path, err := socketPath(kubelets)
		if err != nil {
			return nil, err
		}
		return Connect(ctx, within(root, path))
	}
	var found []*Runtime
	var failed []error
	for _, path := range sockets() {
		path = within(root, path)
		if info, err := os.Stat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
			continue
		}
		switch r, err := Connect(ctx, path); {
		case err != nil:
			failed = append(failed, err)
		default:
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var names []string
		for _, r := range found {
			names = append(names, r.String())
			_ = r.Close()
		}
		return nil, fmt.Errorf("several container runtimes are here, and no kubelet runs that uses one: say which with --runtime-endpoint: %s", strings.Join(names, ", "))
	case len(failed) > 0:
		return nil, errors.Join(failed...)
	default:
		return nil, fmt.Errorf("no container runtime listens at %s: say where with --runtime-endpoint unix:///PATH", strings.Join(sockets(), ", "))
	}
}

func within(root, path string) string {
	if root == "" || root == "/" {
		return path
	}
	return filepath.Join(root, path)
}
