package acr_test

import "regcred/e2e/cloud/cloudtest"

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
