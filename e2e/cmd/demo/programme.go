package main

import (
	"fmt"

	"regcred/e2e/cmd/internal/scene"
)

// act is one thing that happens on a node: requests that kubelet makes at the
// same moment.
type act struct {
	title    string
	requests []scene.Request
}

func programme(stage *scene.Scene) ([]act, error) {
	pod, err := stage.PodRequest(scene.Registry + "/shop/web")
	if err != nil {
		return nil, err
	}
	const burst = 30
	elsewhere := make([]scene.Request, burst)
	for i := range elsewhere {
		elsewhere[i] = scene.NodeRequest(fmt.Sprintf("123456789012.dkr.ecr.eu-west-1.amazonaws.com/app-%d", i+1))
	}
	return []act{
		{"The first image of a registry", []scene.Request{scene.NodeRequest(scene.Registry + "/app")}},
		{"The same image again", []scene.Request{scene.NodeRequest(scene.Registry + "/app")}},
		{"Another image of that registry", []scene.Request{scene.NodeRequest(scene.Registry + "/sidecar")}},
		{fmt.Sprintf("%d images of another registry at once", burst), elsewhere},
		{"A look-alike of the registry", []scene.Request{scene.NodeRequest(scene.LookAlike + "/app")}},
		{"A pod that pulls with its own identity", []scene.Request{pod}},
	}, nil
}
