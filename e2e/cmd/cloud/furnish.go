package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	"regcred/e2e/cloud/fake"
)

const (
	requests = "/run/requests"
	journal  = "calls.cloud.test"
)

// question is a request that lies ready, with what it is about.
type question struct{ name, what string }

// furnish puts requests to try and the journal into the namespace.
func furnish(node *fake.Node) ([]question, error) {
	pod, err := node.PodQuestion(node.Image(0), fake.Shop, node.Workload(fake.Shop))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(requests, 0o755); err != nil {
		return nil, err
	}
	var ready []question
	put := func(name, what string, q fake.Question) error {
		ready = append(ready, question{name, what})
		return os.WriteFile(filepath.Join(requests, name), append(q.Request(), '\n'), 0o600)
	}
	if err := put("node.json", "an image of "+node.Registry(0), node.Question(node.Image(0))); err != nil {
		return nil, err
	}
	if node.Public != "" {
		if err := put("public.json", "the public image "+node.Public, node.Question(node.Public)); err != nil {
			return nil, err
		}
	}
	if err := put("pod.json", "in the name of a pod of "+fake.Shop.Namespace+"/"+fake.Shop.Name, pod); err != nil {
		return nil, err
	}
	if err := put("look-alike.json", "an image of "+node.LookAlike, node.Question(node.LookAlike+"/app")); err != nil {
		return nil, err
	}
	at := netip.MustParseAddr("192.0.2.100")
	if err := node.Cloud.AddHosts(at, journal); err != nil {
		return nil, err
	}
	return ready, node.Cloud.Serve(netip.AddrPortFrom(at, 80), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, node.Cloud.Calls)
	}))
}
