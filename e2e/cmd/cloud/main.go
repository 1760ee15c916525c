// Command cloud opens a shell on a node of a fake AWS, which stands at the
// production names and addresses inside a namespace, with the repository's
// binaries first on the PATH.
//
//	cloud [COMMAND [ARGUMENT]...]
//
// It runs COMMAND instead of a shell when there is one, and prints what the
// cloud was asked when that ends.
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
	"regcred/e2e/cmd/internal/scene"
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

func run(command []string) (err error) {
	if err := cloud.Enter(); err != nil {
		return err
	}
	stage, err := scene.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	if err := furnish(stage); err != nil {
		return err
	}
	if len(command) == 0 {
		fmt.Print(help)
		command = []string{shell()}
	}
	err = attend(command)
	fmt.Print("\nWhat the cloud was asked:\n", stage.Cloud.Calls)
	return err
}

// attend runs a command on the terminal until it ends. An interrupt is the
// command's to handle, as from a shell.
func attend(command []string) error {
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
