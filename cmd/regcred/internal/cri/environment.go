package cri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"regcred/shared/file"
)

// maxEnvironment is more than the kernel gives a process.
const maxEnvironment = 8 << 20

// Environment is that of the runtime at a socket, through whose proxies images
// are pulled. For Docker it is an error: another process pulls there.
func Environment(ctx context.Context, endpoint string) ([]string, error) {
	path, err := socketPath(endpoint)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("container runtime at %s: %w", path, plain(err))
	}
	pid := peer(conn)
	_ = conn.Close()
	if pid <= 1 || strings.HasSuffix(path, "dockerd.sock") { // 1 listens for others
		return nil, errors.New("which process pulls images cannot be told")
	}
	text, err := file.ReadAny(fmt.Sprintf("/proc/%d/environ", pid), maxEnvironment)
	if err != nil {
		return nil, fmt.Errorf("environment of process %d, the container runtime: %w", pid, err)
	}
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00"), nil
}
