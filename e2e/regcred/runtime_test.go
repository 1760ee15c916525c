//go:build linux

package regcred_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"

	"google.golang.org/grpc"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// imageRuntime is a container runtime that has images.
type imageRuntime struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	runtimeapi.UnimplementedImageServiceServer

	mu  sync.Mutex
	ids map[string]string // by name
}

// runtime starts a container runtime, which the kubelet's configuration names.
func (m *machine) runtime(ids map[string]string) {
	m.t.Helper()
	dir, err := os.MkdirTemp("", "cri") // a socket's path is short
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		m.t.Fatal(err)
	}
	r := &imageRuntime{ids: ids}
	server := grpc.NewServer()
	runtimeapi.RegisterRuntimeServiceServer(server, r)
	runtimeapi.RegisterImageServiceServer(server, r)
	go func() { _ = server.Serve(listener) }()
	m.t.Cleanup(server.Stop)
	m.write("kubelet.yaml", m.read("kubelet.yaml")+"containerRuntimeEndpoint: unix://"+socket+"\n")
}

func (r *imageRuntime) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{RuntimeName: "testtime", RuntimeVersion: "v1.0.0", RuntimeApiVersion: "v1"}, nil
}

func (r *imageRuntime) ImageStatus(_ context.Context, request *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, here := r.ids[request.Image.Image]
	if !here {
		return &runtimeapi.ImageStatusResponse{}, nil
	}
	return &runtimeapi.ImageStatusResponse{Image: &runtimeapi.Image{Id: id}}, nil
}
