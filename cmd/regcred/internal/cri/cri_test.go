package cri_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"regcred/cmd/regcred/internal/cri"
	"regcred/cmd/regcred/internal/cri/critest"
	"regcred/shared/credential"
	"regcred/shared/kubelet"
)

func connect(t *testing.T, endpoint string) *cri.Runtime {
	t.Helper()
	r, err := cri.Connect(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// The proxies of a pull are the runtime's.
func TestEnvironment(t *testing.T) {
	fake := critest.Start(t)
	environ, err := cri.Environment(t.Context(), "unix://"+fake.Socket)
	if err != nil || !slices.Contains(environ, "PATH="+os.Getenv("PATH")) {
		t.Errorf("%q, %v", environ, err)
	}
	docker := filepath.Join(filepath.Dir(fake.Socket), "cri-dockerd.sock")
	if err := os.Link(fake.Socket, docker); err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range []string{docker, fake.Socket + ".gone", "", "npipe:////./pipe/containerd"} {
		if environ, err := cri.Environment(t.Context(), endpoint); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q, %v", endpoint, environ, err)
		}
	}
}

func TestPull(t *testing.T) {
	fake := critest.Start(t)
	fake.Push("registry.example.com/app:v1", critest.Remote{ID: "sha256:1", Digest: "sha256:abc", Username: "team", Password: "correct horse"})
	r := connect(t, "unix://"+fake.Socket)
	if got := r.String(); got != "testtime v1.0.0 at unix://"+fake.Socket {
		t.Errorf("runtime %s", got)
	}
	if r.PID != os.Getpid() {
		t.Errorf("process %d listens, want %d", r.PID, os.Getpid())
	}
	if image, err := r.Image(t.Context(), "registry.example.com/app:v1"); image != nil || err != nil {
		t.Fatalf("image %v, %v before the pull", image, err)
	}
	err := r.Pull(t.Context(), "registry.example.com/app:v1", &kubelet.Auth{Username: "team", Password: credential.NewSecret("battery staple")})
	if err == nil || !strings.Contains(err.Error(), "401 Unauthorized") || strings.Contains(err.Error(), "staple") {
		t.Errorf("pulled with the wrong password: %v", err)
	}
	if err := r.Pull(t.Context(), "registry.example.com/app:v1", &kubelet.Auth{Username: "team", Password: credential.NewSecret("correct horse")}); err != nil {
		t.Fatal(err)
	}
	image, err := r.Image(t.Context(), "registry.example.com/app:v1")
	if err != nil || image == nil || image.ID != "sha256:1" || image.Digest("registry.example.com/app") != "sha256:abc" || image.Digest("registry.example.com/other") != "" {
		t.Errorf("image %+v, %v", image, err)
	}
	all, err := r.Images(t.Context())
	if err != nil || len(all) != 1 {
		t.Errorf("images %v, %v", all, err)
	}
}

func TestRetryable(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{status.Error(codes.Unknown, "failed to do request: Head \"https://r/v2/\": dial tcp: lookup r: no such host"), true},
		{status.Error(codes.Unknown, "failed to do request: dial tcp 10.0.0.1:443: connect: connection refused"), true},
		{status.Error(codes.Unknown, "unexpected status from HEAD request to https://r/v2/a/manifests/v1: 503 Service Unavailable"), true},
		{status.Error(codes.Unknown, "unexpected status from HEAD request to https://r/v2/a/manifests/v1: 429 Too Many Requests"), true},
		{status.Error(codes.Unavailable, "error reading from server: EOF"), true},
		{status.Error(codes.DeadlineExceeded, "context deadline exceeded"), true},
		{status.Error(codes.NotFound, "failed to resolve reference \"r/a:v1\": r/a:v1: not found"), false},
		{status.Error(codes.Unknown, "pull access denied, repository does not exist or may require authorization"), false},
		{status.Error(codes.Unknown, "unexpected status: 401 Unauthorized"), false},
		{status.Error(codes.Unknown, "unexpected status: 403 Forbidden"), false},
		{status.Error(codes.Unknown, "no match for platform in manifest: not found"), false},
		{status.Error(codes.Unknown, "tls: failed to verify certificate: x509: certificate signed by unknown authority"), false},
		{status.Error(codes.Unknown, "write /var/lib/x: no space left on device"), false},
	} {
		fake := critest.Start(t)
		fake.Push("r/a:v1", critest.Remote{Failures: []error{test.err}})
		err := connect(t, fake.Socket).Pull(t.Context(), "r/a:v1", nil)
		failed, ok := errors.AsType[*cri.PullError](err)
		if !ok || failed.Retryable() != test.want {
			t.Errorf("%v: retryable %v, want %v", err, !test.want, test.want)
		}
	}
}

func TestConnectToWhatIsNoRuntime(t *testing.T) {
	dir := t.TempDir()
	docker := filepath.Join(dir, "docker.sock")
	listener, err := net.Listen("unix", docker)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ endpoint, want string }{
		{"unix://" + docker, "container runtime at unix://" + docker + ": it does not serve the kubelet (no CRI v1): likely docker's own containerd, or one whose cri plugin is disabled"},
		{filepath.Join(dir, "none.sock"), "container runtime at unix://" + dir + "/none.sock: connect: no such file or directory"},
		{file, "container runtime at unix://" + file + ": connect: connection refused"},
		{"npipe:////./pipe/containerd", `container runtime at "npipe:////./pipe/containerd": a socket of the form unix:///PATH is what this knows to ask`},
		{"containerd.sock", `container runtime at "containerd.sock": no absolute path`},
	} {
		if _, err := cri.Connect(t.Context(), test.endpoint); err == nil || err.Error() != test.want {
			t.Errorf("connected to %s: %v\nwant %s", test.endpoint, err, test.want)
		}
	}
}

func TestFind(t *testing.T) {
	fake := critest.Start(t)
	root := t.TempDir()
	place := func(path string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(fake.Socket, path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := cri.Find(t.Context(), root, "", ""); err == nil || !strings.Contains(err.Error(), "say where with --runtime-endpoint") {
		t.Errorf("found a runtime where there is none: %v", err)
	}
	place("/run/crio/crio.sock")
	r, err := cri.Find(t.Context(), root, "", "")
	if err != nil || !strings.HasSuffix(r.Endpoint, "/run/crio/crio.sock") {
		t.Fatalf("found %v, %v", r, err)
	}
	_ = r.Close()
	place("/run/containerd/containerd.sock")
	if _, err = cri.Find(t.Context(), root, "", ""); err == nil || !strings.Contains(err.Error(), "several container runtimes are here") {
		t.Errorf("chose between two: %v", err)
	}
	if r, err = cri.Find(t.Context(), root, "", "unix:///run/containerd/containerd.sock"); err != nil {
		t.Fatalf("the kubelet's: %v", err)
	}
	_ = r.Close()
	if r, err = cri.Find(t.Context(), root, fake.Socket, "unix:///run/containerd/containerd.sock"); err != nil || r.Endpoint != "unix://"+fake.Socket {
		t.Fatalf("the one that was given: %v, %v", r, err)
	}
	_ = r.Close()
}
