// Package cri asks the node's container runtime about images, and has it pull
// them, over the interface that the kubelet uses.
package cri

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"regcred/shared/kubelet"
	"regcred/shared/redact"
)

const (
	// answerTime is what the runtime has for an answer other than a pull: the
	// kubelet's default is two minutes, for runtimes under load.
	answerTime = 30 * time.Second

	// maxMessage bounds an answer, as the kubelet does: a node may have
	// thousands of images.
	maxMessage = 16 << 20
)

// Runtime is a node's container runtime.
type Runtime struct {
	// Endpoint is its socket: unix:///run/containerd/containerd.sock.
	Endpoint string

	// Name and Version are what it says of itself: containerd, cri-o, docker.
	Name, Version string

	// PID is the process at the other end of the socket, 0 if it is not known.
	PID int

	conn    *grpc.ClientConn
	images  runtimeapi.ImageServiceClient
	runtime runtimeapi.RuntimeServiceClient
}

// Image is an image that the runtime has.
type Image struct {
	// ID is what the kubelet's pull records are about.
	ID string

	// Tags are the names that it has, and Digests those names with the digest
	// of what was pulled.
	Tags, Digests []string

	// Size is in bytes, as far as the runtime knows it.
	Size uint64

	// Pinned says that the kubelet's garbage collection leaves it alone.
	Pinned bool
}

// Digest returns the digest that the image was pulled with as one of a
// repository, or "".
func (i Image) Digest(repository string) string {
	for _, name := range i.Digests {
		if digest, found := strings.CutPrefix(name, repository+"@"); found {
			return digest
		}
	}
	return ""
}

// Connect connects to a runtime. The endpoint is a socket's path, with or
// without unix:// before it.
func Connect(ctx context.Context, endpoint string) (*Runtime, error) {
	path, err := socketPath(endpoint)
	if err != nil {
		return nil, err
	}
	r := &Runtime{Endpoint: "unix://" + path}
	var pid atomic.Int64
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err == nil {
			pid.Store(int64(peer(conn)))
		}
		return conn, err
	}
	// A socket that nobody listens at is known at once, without the library's
	// patience and in plainer words.
	probe, err := dial(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("container runtime at %s: %w", r.Endpoint, plain(err))
	}
	_ = probe.Close()
	r.PID = int(pid.Load())
	r.conn, err = grpc.NewClient("passthrough:///"+path,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dial), grpc.WithAuthority("localhost"),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("container runtime at %s: %w", r.Endpoint, err)
	}
	r.images, r.runtime = runtimeapi.NewImageServiceClient(r.conn), runtimeapi.NewRuntimeServiceClient(r.conn)
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	version, err := r.runtime.Version(ctx, &runtimeapi.VersionRequest{})
	if err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("container runtime at %s: %w", r.Endpoint, noKubeletsRuntime(err))
	}
	r.Name, r.Version = redact.Line(version.RuntimeName), redact.Line(version.RuntimeVersion)
	return r, nil
}

// noKubeletsRuntime says of a runtime without the kubelet's interface what it
// is likely to be.
func noKubeletsRuntime(err error) error {
	if status.Code(err) == codes.Unimplemented {
		return errors.New("it does not serve the kubelet (no CRI v1): likely docker's own containerd, or one whose cri plugin is disabled")
	}
	return plain(err)
}

// Close ends the connection.
func (r *Runtime) Close() error { return r.conn.Close() }

// String returns the runtime's name, version and socket.
func (r *Runtime) String() string { return fmt.Sprintf("%s %s at %s", r.Name, r.Version, r.Endpoint) }

// Image returns the image of a name, or nil if the runtime does not have it
// under that name.
func (r *Runtime) Image(ctx context.Context, name string) (*Image, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answer, err := r.images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: name}})
	if err != nil {
		return nil, fmt.Errorf("ask %s for the image: %w", r.Name, plain(err))
	}
	if answer.Image == nil {
		return nil, nil
	}
	found := imageOf(answer.Image)
	return &found, nil
}

// Images returns all images, by ID.
func (r *Runtime) Images(ctx context.Context) ([]Image, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answer, err := r.images.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return nil, fmt.Errorf("list the images of %s: %w", r.Name, plain(err))
	}
	all := make([]Image, 0, len(answer.Images))
	for _, one := range answer.Images {
		all = append(all, imageOf(one))
	}
	slices.SortFunc(all, func(a, b Image) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

func imageOf(i *runtimeapi.Image) Image {
	return Image{ID: i.Id, Tags: i.RepoTags, Digests: i.RepoDigests, Size: i.Size, Pinned: i.Pinned}
}

// Pull pulls an image, and returns once it is there: the interface tells
// nothing before. A nil login pulls as anybody.
func (r *Runtime) Pull(ctx context.Context, name string, login *kubelet.Auth) error {
	request := &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: name}}
	var secrets []string
	if login != nil {
		request.Auth = &runtimeapi.AuthConfig{Username: login.Username, Password: login.Password.Reveal()}
		secrets = []string{login.Password.Reveal()}
	}
	if _, err := r.images.PullImage(ctx, request); err != nil {
		return &PullError{text: redact.Line(status.Convert(err).Message(), secrets...), code: status.Code(err)}
	}
	return nil
}

// PullError is what the runtime says of a pull that failed.
type PullError struct {
	text string
	code codes.Code
}

// Error returns the runtime's text, in one line without the password.
func (e *PullError) Error() string { return e.text }

// Retryable reports whether it may go better the next time. Runtimes say most
// things in words alone.
func (e *PullError) Retryable() bool {
	text := strings.ToLower(e.text)
	for _, word := range permanentWords() {
		if strings.Contains(text, word) {
			return false
		}
	}
	return e.code != codes.InvalidArgument && e.code != codes.Unimplemented && e.code != codes.NotFound && e.code != codes.PermissionDenied && e.code != codes.Unauthenticated
}

// permanentWords are in the messages of containerd, CRI-O and cri-dockerd for
// what another try does not change.
func permanentWords() []string {
	return []string{"401", "403 forbidden", "unauthorized", "authentication required", "authorization failed", "access denied", "denied:",
		"not found", "manifest unknown", "name unknown", "invalid reference", "no match for platform", "no space left",
		"x509:", "http response to https client", "signaturevalidationfailed", "unsupported"}
}

// plain returns an error of a call in one line, without what is the library's.
func plain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	s := status.Convert(err)
	switch s.Code() {
	case codes.DeadlineExceeded:
		return errors.New("no answer in time")
	case codes.Unknown, codes.Unavailable, codes.Internal:
		return errors.New(redact.Line(s.Message()))
	default:
		return fmt.Errorf("%s: %s", s.Code(), redact.Line(s.Message()))
	}
}

// socketPath returns the path in an endpoint.
func socketPath(endpoint string) (string, error) {
	path, found := strings.CutPrefix(endpoint, "unix://")
	if !found && strings.Contains(endpoint, "://") {
		return "", fmt.Errorf("container runtime at %.200q: a socket of the form unix:///PATH is what this knows to ask", endpoint)
	}
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("container runtime at %.200q: no absolute path", endpoint)
	}
	return path, nil
}
