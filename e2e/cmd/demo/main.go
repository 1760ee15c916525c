// Command demo runs the plugins as the kubelet does, each on a node of its
// cloud. The clouds are fake and stand at the production names and addresses
// inside a namespace. It tells what was asked and answered, a line an act.
//
//	demo [CLOUD]...
//
// CLOUD is aws, gcp, azure, oracle or ibm; by default all have their turn.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/fake"
)

// cacheDir is the plugins' default; the namespace has a /run of its own.
const cacheDir = "/run/regcred"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	kinds := clouds.All()
	if len(names) > 0 {
		kinds = nil
	}
	for _, name := range names {
		kind, err := clouds.Find(name)
		if err != nil {
			return err
		}
		kinds = append(kinds, kind)
	}
	if err := cloud.Enter(); err != nil {
		return err
	}
	for i, kind := range kinds {
		if i > 0 {
			fmt.Println()
		}
		if err := show(kind); err != nil {
			return fmt.Errorf("%s: %w", kind.Name, err)
		}
	}
	return nil
}

// show boots a node of a cloud and plays the acts on it.
func show(kind fake.Kind) (err error) {
	c, err := cloud.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := os.RemoveAll(cacheDir); err != nil {
		return err
	}
	node, err := kind.Boot(c)
	if err != nil {
		return err
	}
	acts, err := actsOn(node)
	if err != nil {
		return err
	}
	plugin, err := filepath.Abs(filepath.Join("bin", kind.Plugin))
	if err != nil {
		return err
	}
	fmt.Printf("%s, for images such as %s\n", kind.Plugin, node.Image(0))
	for _, act := range acts {
		if err := act.play(context.Background(), node, plugin); err != nil {
			return fmt.Errorf("%s: %w", act.title, err)
		}
	}
	if violations := c.Calls.Violations(); len(violations) > 0 {
		return fmt.Errorf("the cloud was asked what it would refuse: %v", violations)
	}
	return nil
}
