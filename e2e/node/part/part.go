// Package part configures and starts the programs of a node: the registry's
// backend, containerd, etcd, the API server and the kubelet. What is set, and
// why, is what it takes on a machine that has neither systemd nor a network.
package part

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"

	"regcred/e2e/node/build"
	"regcred/e2e/node/process"
)

// Place is where the parts of one node are.
type Place struct {
	Programs build.Programs
	Dir      string // scratch, short: the paths of sockets are limited to 107 bytes
	Logs     string // one file a part
}

// path is a path in the scratch directory.
func (p Place) path(elements ...string) string {
	return filepath.Join(append([]string{p.Dir}, elements...)...)
}

// write fills in a template and writes it to the scratch directory.
func (p Place) write(name, text string, data any) (path string, err error) {
	parsed, err := template.New(name).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var content bytes.Buffer
	if err := parsed.Execute(&content, data); err != nil {
		return "", err
	}
	path = p.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, content.Bytes(), 0o600)
}

// start starts a part with an environment of its own: what a service has under
// systemd is all it gets, no HOME above all.
func (p Place) start(name, program string, arguments ...string) (*process.Process, error) {
	command := exec.Command(program, arguments...)
	command.Dir = "/"
	command.Env = []string{
		"LANG=C.UTF-8",
		"PATH=" + p.Programs.Runtime + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	return process.Start(p.Logs, name, command)
}

// answers checks that a URL is answered with status 200.
func answers(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil
	}
}
