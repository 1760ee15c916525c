// Lookup is the part of kubelet that finds credentials for an image, and
// nothing else of it: it loads a credential provider configuration, runs
// plugins, caches and matches their answers with kubelet's own code, and says
// what kubelet would have pulled with.
//
// It speaks package wire on its standard input and output. Kubelet registers
// plugins once for a process and panics on a second registration, so one
// process is one kubelet with one configuration; a kubelet that restarts is
// another process.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/kubernetes/pkg/credentialprovider/plugin"

	"regcred/e2e/kubelet/wire"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "lookup: %v\n", err)
		os.Exit(1)
	}
}

func run(stdin io.Reader, stdout io.Writer) error {
	log, err := captureLog()
	if err != nil {
		return fmt.Errorf("capture kubelet's log: %w", err)
	}
	in, out := json.NewDecoder(stdin), json.NewEncoder(stdout)

	var start wire.Start
	if err := in.Decode(&start); err != nil {
		return fmt.Errorf("read the start: %w", err)
	}
	cluster := newCluster(start.ServiceAccounts)
	refused := plugin.RegisterCredentialProviderPlugins(start.Config, start.BinDir, cluster.token, cluster.serviceAccount)
	if err := out.Encode(wire.Started{Error: message(refused)}); err != nil || refused != nil {
		return err
	}
	for {
		var round wire.Round
		if err := in.Decode(&round); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a round: %w", err)
		}
		cluster.admit(round.Lookups)
		answers := lookupAll(round.Lookups)
		counted, err := readCounters()
		if err != nil {
			return fmt.Errorf("read kubelet's metrics: %w", err)
		}
		done := wire.RoundDone{Answers: answers, Log: log.take(), PluginErrors: counted.errors, PluginRuns: counted.runs}
		if err := out.Encode(done); err != nil {
			return fmt.Errorf("write what the round came to: %w", err)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
