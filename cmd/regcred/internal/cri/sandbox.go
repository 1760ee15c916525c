package cri

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"regcred/shared/file"
)

// SandboxImage returns the image of every pod's own container, which the
// runtime pulls without asking a provider. Root is the root of the node's file
// tree. It is "" if the runtime's configuration does not say, and then is a
// default of its release.
func (r *Runtime) SandboxImage(ctx context.Context, root string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answer, err := r.runtime.Status(ctx, &runtimeapi.StatusRequest{Verbose: true})
	if err != nil {
		return "", fmt.Errorf("ask %s for its sandbox image: %w", r.Name, plain(err))
	}
	// containerd 1.x tells it, 2.x does not.
	var config struct{ SandboxImage string }
	if json.Unmarshal([]byte(answer.Info["config"]), &config) == nil && config.SandboxImage != "" {
		return config.SandboxImage, nil
	}
	for _, path := range r.configurations(root) {
		text, err := file.Read(path)
		if err != nil {
			continue
		}
		if found := sandboxLine.FindSubmatch(comment.ReplaceAll(text, nil)); found != nil {
			return string(found[1]) + string(found[2]), nil
		}
	}
	return "", nil
}

// configurations are the runtime's configuration files, the last of which
// counts first: that of its command line, or those at their usual places.
func (r *Runtime) configurations(root string) []string {
	if path := r.configured(); path != "" {
		return []string{path}
	}
	patterns := []string{"/etc/containerd/config.toml", "/etc/containerd/conf.d/*.toml"}
	if r.Name == "cri-o" {
		patterns = []string{"/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*.conf"}
	}
	var paths []string
	for _, pattern := range patterns {
		found, _ := filepath.Glob(within(root, pattern)) // only a bad pattern is an error
		slices.Sort(found)
		paths = append(paths, found...)
	}
	slices.Reverse(paths)
	return paths
}

// configured is the configuration file that the runtime's process was started
// with, or "". It has the path in the process's own file tree.
func (r *Runtime) configured() string {
	if r.PID == 0 {
		return ""
	}
	process := fmt.Sprintf("/proc/%d/", r.PID)
	line, err := file.Open(process + "cmdline")
	if err != nil {
		return ""
	}
	defer func() { _ = line.Close() }()
	buffer := make([]byte, 64<<10)
	n, _ := line.Read(buffer)
	args := strings.Split(strings.TrimRight(string(buffer[:n]), "\x00"), "\x00")
	for i, arg := range args {
		name, value, found := strings.Cut(arg, "=")
		if name != "-c" && name != "--config" && name != "-config" {
			continue
		}
		if !found && i+1 < len(args) {
			value = args[i+1]
		}
		if filepath.IsAbs(value) {
			return process + "root" + value
		}
	}
	return ""
}
