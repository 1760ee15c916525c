// Build makes the programs that the tests run pods with, into .cache/node. It is
// started in the directory of its module:
//
//	go run ./cmd/build
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"regcred/e2e/node/build"
	"regcred/e2e/node/enclosure"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e/node: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	// The tests are skipped for the same reason, and say so.
	if err := enclosure.Check(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e/node: no node is built, for none can run here: %v\n", err)
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	source, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	return build.Make(ctx, source, filepath.Join(source, "..", "..", ".cache", "node"), os.Stderr)
}
