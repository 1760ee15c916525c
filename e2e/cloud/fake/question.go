package fake

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
)

// V1 is the version of the kubelet's protocol that is spoken unless another is
// asked for.
const V1 = "credentialprovider.kubelet.k8s.io/v1"

// Question is one run of a plugin: what the kubelet writes to it, and what the
// kubelet's configuration gives it besides.
type Question struct {
	APIVersion  string // empty: V1
	Image       string
	Token       string // of a service account; empty: none
	Annotations map[string]string

	Args []string
	Env  []string // besides PATH
}

// Version is the version that the question is asked in.
func (q Question) Version() string {
	if q.APIVersion != "" {
		return q.APIVersion
	}
	return V1
}

// Request is what the kubelet writes.
func (q Question) Request() []byte {
	text, _ := json.Marshal(request{ // strings never fail
		Kind:        "CredentialProviderRequest",
		APIVersion:  q.Version(),
		Image:       q.Image,
		Token:       q.Token,
		Annotations: q.Annotations,
	})
	return text
}

// request is a CredentialProviderRequest as the kubelet's API has it.
type request struct {
	Kind        string            `json:"kind"`
	APIVersion  string            `json:"apiVersion"`
	Image       string            `json:"image"`
	Token       string            `json:"serviceAccountToken,omitempty"`
	Annotations map[string]string `json:"serviceAccountAnnotations,omitempty"`
}

// Command is the plugin as systemd's kubelet starts it: no HOME, no TMPDIR, in
// the root directory. Arguments that are given come before the question's.
func (q Question) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, program, append(args, q.Args...)...)
	command.Dir = "/"
	command.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, q.Env...)
	command.Stdin = bytes.NewReader(q.Request())
	return command
}
