// Command cloud opens a shell on a node of a fake cloud, which stands at the
// production names and addresses inside a namespace, with the repository's
// binaries first on the PATH.
//
//	cloud CLOUD [COMMAND [ARGUMENT]...]
//
// CLOUD is aws, gcp, azure, oracle or ibm. It runs COMMAND instead of a shell
// when there is one, and prints what the cloud was asked when that ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/clouds"
)

func main() {
	err := run(os.Args[1:])
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(max(exit.ExitCode(), 1)) // -1: a signal ended it
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cloud:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	if len(args) == 0 {
		return errors.New("usage: cloud CLOUD [COMMAND [ARGUMENT]...]")
	}
	kind, err := clouds.Find(args[0])
	if err != nil {
		return err
	}
	if err := cloud.Enter(); err != nil {
		return err
	}
	c, err := cloud.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	node, err := kind.Boot(c)
	if err != nil {
		return err
	}
	ready, err := furnish(node)
	if err != nil {
		return err
	}
	command := args[1:]
	if len(command) == 0 {
		welcome(os.Stdout, node, ready)
		command = []string{shell()}
	}
	err = attend(command, node.Env)
	fmt.Print("\nWhat the cloud was asked:\n", c.Calls)
	return err
}

// attend runs a command on the terminal, with what the kubelet's configuration
// gives the plugin, until it ends. An interrupt is the command's to handle, as
// from a shell.
func attend(command, env []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)

	binaries, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	path := binaries + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if err := os.Setenv("PATH", path); err != nil { // where the command is looked for
		return err
	}
	process := exec.CommandContext(ctx, command[0], command[1:]...)
	// A node's service manager gives kubelet, and so plugins, hardly more:
	// no HOME, and nothing of whoever sits at this terminal.
	process.Env = []string{"PATH=" + path, "TERM=" + os.Getenv("TERM"), `PS1=node1 \$ `}
	process.Env = append(process.Env, env...)
	process.Stdin, process.Stdout, process.Stderr = os.Stdin, os.Stdout, os.Stderr
	return process.Run()
}

func shell() string {
	for _, candidate := range []string{os.Getenv("SHELL"), "/bin/bash"} {
		if _, err := os.Stat(candidate); err == nil {
			return candidate
		}
	}
	return "/bin/sh"
}
