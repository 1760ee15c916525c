// Package critest is a container runtime for tests: it has images, and pulls
// those of its registry for those who may.
package critest

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Runtime is a runtime with a registry behind it.
type Runtime struct {
	// Socket is where it listens.
	Socket string

	runtimeapi.UnimplementedRuntimeServiceServer
	runtimeapi.UnimplementedImageServiceServer

	mu       sync.Mutex
	here     map[string]*runtimeapi.Image // by name
	registry map[string]Remote
	pulls    []Pull
	info     map[string]string
}

// Remote is an image of the registry.
type Remote struct {
	// ID is the image's, and Digest that of its manifest.
	ID, Digest string
	// Username and Password are of who may pull it. Empty is anybody.
	Username, Password string
	// Failures are answered before it can be pulled, in their order.
	Failures []error
}

// Pull is a pull that was asked for.
type Pull struct{ Image, Username, Password string }

// Start starts a runtime that lives as long as the test.
func Start(t *testing.T) *Runtime {
	t.Helper()
	r := &Runtime{Socket: filepath.Join(t.TempDir(), "cri.sock"), here: map[string]*runtimeapi.Image{}, registry: map[string]Remote{}}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", r.Socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	runtimeapi.RegisterRuntimeServiceServer(server, r)
	runtimeapi.RegisterImageServiceServer(server, r)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return r
}

// Push puts an image into the registry.
func (r *Runtime) Push(name string, image Remote) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.registry[name] = image
}

// Pulls returns what was asked for.
func (r *Runtime) Pulls() []Pull {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Pull(nil), r.pulls...)
}

// Info sets what the runtime tells of its configuration.
func (r *Runtime) Info(info map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.info = info
}

// Version implements the runtime service.
func (r *Runtime) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{RuntimeName: "testtime", RuntimeVersion: "v1.0.0", RuntimeApiVersion: "v1"}, nil
}

// Status implements the runtime service.
func (r *Runtime) Status(context.Context, *runtimeapi.StatusRequest) (*runtimeapi.StatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &runtimeapi.StatusResponse{Info: r.info}, nil
}

// ImageStatus implements the image service.
func (r *Runtime) ImageStatus(_ context.Context, request *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &runtimeapi.ImageStatusResponse{Image: r.here[request.Image.Image]}, nil
}

// ListImages implements the image service.
func (r *Runtime) ListImages(context.Context, *runtimeapi.ListImagesRequest) (*runtimeapi.ListImagesResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer := &runtimeapi.ListImagesResponse{}
	seen := map[string]bool{}
	for _, image := range r.here {
		if !seen[image.Id] {
			seen[image.Id] = true
			answer.Images = append(answer.Images, image)
		}
	}
	return answer, nil
}

// PullImage implements the image service. It says what containerd says.
func (r *Runtime) PullImage(_ context.Context, request *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := request.Image.Image
	pull := Pull{name, request.Auth.GetUsername(), request.Auth.GetPassword()}
	r.pulls = append(r.pulls, pull)
	remote, found := r.registry[name]
	if found && len(remote.Failures) > 0 {
		err := remote.Failures[0]
		remote.Failures = remote.Failures[1:]
		r.registry[name] = remote
		return nil, err
	}
	switch {
	case !found:
		return nil, status.Errorf(codes.NotFound, "failed to pull and unpack image %q: failed to resolve reference %q: %s: not found", name, name, name)
	case remote.Username != pull.Username || remote.Password != pull.Password:
		// Registries have been seen to repeat what they were sent.
		return nil, status.Errorf(codes.Unknown, "failed to pull and unpack image %q: failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized: %s", name, pull.Password)
	}
	image := r.here[name]
	for _, other := range r.here {
		if other.Id == remote.ID {
			image = other // under another name
		}
	}
	if image == nil || image.Id != remote.ID {
		image = &runtimeapi.Image{Id: remote.ID, Size: 4096}
	}
	image.RepoTags = append(image.RepoTags, name)
	image.RepoDigests = append(image.RepoDigests, fmt.Sprintf("%s@%s", repository(name), remote.Digest))
	r.here[name] = image
	return &runtimeapi.PullImageResponse{ImageRef: remote.ID}, nil
}

// repository returns a name without its tag.
func repository(name string) string {
	for i := len(name) - 1; i >= 0 && name[i] != '/'; i-- {
		if name[i] == ':' {
			return name[:i]
		}
	}
	return name
}
