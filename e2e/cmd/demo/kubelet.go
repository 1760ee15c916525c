package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"regcred/e2e/cmd/internal/scene"
)

// response is what kubelet reads from a plugin's standard output.
type response struct {
	CacheDuration string           `json:"cacheDuration"`
	Auth          map[string]login `json:"auth"`
}

type login struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// ask runs the plugin once for each request, all at the same time, and
// returns the answers in the order of the requests.
func ask(plugin string, requests []scene.Request) ([]response, error) {
	answers := make([]response, len(requests))
	failures := make([]error, len(requests))
	var running sync.WaitGroup
	for i, request := range requests {
		running.Go(func() { answers[i], failures[i] = exchange(plugin, request) })
	}
	running.Wait()
	for _, failure := range failures {
		if failure != nil {
			return nil, failure
		}
	}
	return answers, nil
}

// exchange gives a plugin what kubelet gives it: a request, 60 seconds and
// next to no environment.
func exchange(plugin string, request scene.Request) (response, error) {
	encoded, err := json.Marshal(request)
	if err != nil {
		return response{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	process := exec.CommandContext(ctx, plugin)
	process.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	process.Stdin = bytes.NewReader(append(encoded, '\n'))
	process.Stdout, process.Stderr = &stdout, &stderr
	if err := process.Run(); err != nil {
		return response{}, fmt.Errorf("%s: %w: %s", plugin, err, strings.TrimSpace(stderr.String()))
	}
	var answer response
	err = json.Unmarshal(stdout.Bytes(), &answer)
	return answer, err
}
