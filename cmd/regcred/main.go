// Command regcred is the tool for people: it shows, checks and installs how a
// node gets at private images. It runs the plugins as the kubelet does, and
// asks no cloud itself.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"regcred/cmd/regcred/internal/term"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := app{
		name:    os.Args[0],
		stdin:   os.Stdin,
		out:     term.New(os.Stdout, os.Getenv),
		err:     term.New(os.Stderr, os.Getenv),
		getenv:  os.Getenv,
		environ: os.Environ(),
	}
	if a.isHelper() {
		return a.runHelper(ctx, os.Args[1:])
	}
	return a.run(ctx, os.Args[1:])
}
