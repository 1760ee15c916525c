// Command demo runs ecr-credential-provider as kubelet does, on a node of a
// fake AWS that stands at the production names and addresses inside a
// namespace, and tells what was asked and answered.
//
//	demo [PLUGIN]
//
// PLUGIN is the binary to run, by default bin/ecr-credential-provider.
package main

import (
	"errors"
	"fmt"
	"os"

	"regcred/e2e/cloud"
	"regcred/e2e/cmd/internal/scene"
)

func main() {
	plugin := "bin/ecr-credential-provider"
	if len(os.Args) > 1 {
		plugin = os.Args[1]
	}
	if err := run(plugin); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(plugin string) (err error) {
	if err := cloud.Enter(); err != nil {
		return err
	}
	stage, err := scene.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()

	acts, err := programme(stage)
	if err != nil {
		return err
	}
	for number, act := range acts {
		if err := play(stage, plugin, number+1, act); err != nil {
			return fmt.Errorf("%s: %w", act.title, err)
		}
	}
	if violations := stage.Cloud.Calls.Violations(); len(violations) > 0 {
		return fmt.Errorf("the cloud was asked what it would refuse: %v", violations)
	}
	return nil
}
