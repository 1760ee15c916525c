package gcr_test

import (
	"os/exec"

	"regcred/e2e/cloud/cloudtest"
)

// question is one run of the plugin.
type question cloudtest.Question

// ask runs the plugin to its end.
func (n *node) ask(q question) answer {
	n.t.Helper()
	return n.write(q, cloudtest.Question(q).Request(n.t))
}

// write runs the plugin with anything on its standard input.
func (n *node) write(q question, stdin []byte) answer {
	n.t.Helper()
	return answer{cloudtest.Ask(n.t, plugin, cloudtest.Question(q), stdin), n}
}

// run is a run of the plugin that may not have ended.
type run struct {
	*cloudtest.Invocation
	node *node
}

// start starts a command, the plugin or one that becomes it.
func (n *node) start(command *exec.Cmd) *run {
	n.t.Helper()
	return &run{cloudtest.Start(n.t, command), n}
}

// answer waits for the end of the run.
func (r *run) answer() answer {
	r.node.t.Helper()
	return answer{r.Answer(), r.node}
}
