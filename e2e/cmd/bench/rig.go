package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// rig is what is measured, on a node of its cloud, and what it is measured
// against. Programs are copies: files as the linker wrote them start a fifth
// slower than the same bytes copied, which is what nodes have.
type rig struct {
	node    *fake.Node
	plugin  string
	minimal program
	sdk     program // empty where there is none
	scratch string
}

// program is a yardstick: it prints the file that is its argument.
type program struct{ path, answer string }

// yardsticks are built once and are for all plugins.
type yardsticks struct{ minimal, sdk string }

func buildYardsticks(dir string) (yardsticks, error) {
	y := yardsticks{}
	for name, path := range map[string]*string{"minimal": &y.minimal, "sdk": &y.sdk} {
		linked := filepath.Join(dir, name+".linked")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", linked, "./e2e/cmd/bench/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := build.CombinedOutput(); err != nil {
			return yardsticks{}, fmt.Errorf("building the yardstick %s: %w: %s", name, err, output)
		}
		*path = filepath.Join(dir, name)
		if err := copyProgram(linked, *path); err != nil {
			return yardsticks{}, err
		}
	}
	return y, nil
}

func copyProgram(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	_, err = io.Copy(target, source)
	return err
}

// newRig boots a node and lets the plugin answer once, so that the yardsticks
// print an answer of the same size.
func newRig(c *cloud.Cloud, kind fake.Kind, y yardsticks, scratch string) (*rig, error) {
	node, err := kind.Boot(c)
	if err != nil {
		return nil, err
	}
	r := &rig{node: node, scratch: scratch, plugin: filepath.Join(scratch, kind.Plugin)}
	if err := copyProgram(filepath.Join("bin", kind.Plugin), r.plugin); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(cacheDir); err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	command := r.run("warm")
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	answer := filepath.Join(scratch, kind.Plugin+".answer")
	r.minimal = program{y.minimal, answer}
	if kind.Name == "aws" {
		r.sdk = program{y.sdk, answer}
	}
	return r, os.WriteFile(answer, stdout.Bytes(), 0o600)
}

// run is the plugin, asked for an image of the node's registry.
func (r *rig) run(image string) *exec.Cmd {
	return r.node.Question(r.node.Image(0)+"/"+image).Command(context.Background(), r.plugin)
}

// yard is a yardstick, given what the plugin is given.
func (r *rig) yard(p program, image string) *exec.Cmd {
	command := r.run(image)
	command.Path, command.Args = p.path, []string{p.path, p.answer}
	return command
}
