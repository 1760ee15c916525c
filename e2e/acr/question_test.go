package acr_test

import "regcred/e2e/cloud/cloudtest"

// question is one run of the plugin.
type question cloudtest.Question

// ask runs the plugin to its end.
func (n *node) ask(q question) answer {
	n.T.Helper()
	return answer{n.Ask(cloudtest.Question(q)), n}
}
