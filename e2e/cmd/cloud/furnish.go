package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	"regcred/e2e/cmd/internal/scene"
)

const (
	requests = "/run/requests"
	journal  = "calls.cloud.test"
)

// furnish puts requests to try and the journal into the namespace.
func furnish(stage *scene.Scene) error {
	pod, err := stage.PodRequest(scene.Registry + "/shop/web")
	if err != nil {
		return err
	}
	for name, request := range map[string]scene.Request{
		"node.json":       scene.NodeRequest(scene.Registry + "/app"),
		"public.json":     scene.NodeRequest("public.ecr.aws/docker/library/busybox"),
		"look-alike.json": scene.NodeRequest(scene.LookAlike + "/app"),
		"pod.json":        pod,
	} {
		if err := write(filepath.Join(requests, name), request); err != nil {
			return err
		}
	}
	at := netip.MustParseAddr("192.0.2.100")
	if err := stage.Cloud.AddHosts(at, journal); err != nil {
		return err
	}
	return stage.Cloud.Serve(netip.AddrPortFrom(at, 80), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, stage.Cloud.Calls)
	}))
}

func write(path string, request scene.Request) error {
	encoded, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(encoded, '\n'), 0o600)
}
