package main

import (
	"fmt"
	"io"
	"strings"

	"regcred/e2e/cloud/fake"
)

// welcome prints what the shell begins with.
func welcome(w io.Writer, node *fake.Node, ready []question) {
	fmt.Fprintf(w, "This is node1, a machine of a fake %s at the production names and addresses.\nNothing outside of it can be reached.\n\n", node.Name)
	width := 0
	for _, endpoint := range node.Endpoints {
		width = max(width, len(endpoint.Name))
	}
	for _, endpoint := range node.Endpoints {
		fmt.Fprintf(w, "  %-*s   %s\n", width, endpoint.Name, endpoint.What)
	}
	fmt.Fprintf(w, "\nRequests as the kubelet writes them are in %s:\n\n", requests)
	for _, q := range ready {
		fmt.Fprintf(w, "  %s < %s/%-16s %s\n", strings.Join(append([]string{node.Plugin}, node.Args...), " "), requests, q.name, q.what)
	}
	fmt.Fprintf(w, `
  curl http://%s/   what the cloud was asked so far; printed at exit, too
  ls /run/regcred                 what the plugin remembers; remove it for a cold start

`, journal)
}
