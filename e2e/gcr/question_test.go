package gcr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"testing"
	"time"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
)

const (
	v1 = "credentialprovider.kubelet.k8s.io/v1"

	// patience is less than the minute after which the kubelet kills a plugin
	// and loses its message.
	patience = 55 * time.Second
)

// question is one run of the plugin: what the kubelet writes to it, and what
// the kubelet's configuration gives it besides.
type question struct {
	apiVersion  string // empty: v1
	image       string
	token       string // of a service account; empty: none
	annotations map[string]string

	args []string
	env  []string // besides PATH
}

// request is what the kubelet writes.
func (q question) request(t *testing.T) []byte {
	t.Helper()
	request := credentialprovider.CredentialProviderRequest{
		Image:                     q.image,
		ServiceAccountToken:       q.token,
		ServiceAccountAnnotations: q.annotations,
	}
	request.Kind, request.APIVersion = "CredentialProviderRequest", v1
	if q.apiVersion != "" {
		request.APIVersion = q.apiVersion
	}
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// command is the plugin as systemd's kubelet starts it: no HOME, no TMPDIR, in
// the root folder.
func (q question) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, program, append(args, q.args...)...)
	command.Dir = "/"
	command.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, q.env...)
	return command
}

// ask runs the plugin to its end.
func (n *node) ask(q question) answer {
	n.t.Helper()
	return n.write(q, q.request(n.t))
}

// write runs the plugin with anything on its standard input.
func (n *node) write(q question, stdin []byte) answer {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	command := q.command(ctx, plugin)
	command.Stdin = bytes.NewReader(stdin)
	a := n.start(command).answer()
	if ctx.Err() != nil {
		n.t.Fatalf("no answer within %s", patience)
	}
	if q.apiVersion != "" {
		a.apiVersion = q.apiVersion
	}
	return a
}

// run is a run of the plugin that may not have ended.
type run struct {
	*exec.Cmd
	node           *node
	begin          time.Time
	stdout, stderr bytes.Buffer
}

// start starts a command, the plugin or one that becomes it.
func (n *node) start(command *exec.Cmd) *run {
	n.t.Helper()
	r := &run{Cmd: command, node: n, begin: time.Now()}
	r.Stdout, r.Stderr = &r.stdout, &r.stderr
	if err := r.Start(); err != nil {
		n.t.Fatal(err)
	}
	return r
}

// answer waits for the end of the run.
func (r *run) answer() answer {
	r.node.t.Helper()
	var exit *exec.ExitError
	if err := r.Wait(); err != nil && !errors.As(err, &exit) {
		r.node.t.Fatal(err)
	}
	return answer{
		node:       r.node,
		apiVersion: v1,
		exit:       r.ProcessState.ExitCode(),
		stdout:     r.stdout.String(),
		stderr:     r.stderr.String(),
		took:       time.Since(r.begin),
	}
}
