//go:build !windows

package main

import (
	"os"
	"syscall"

	"regcred/cmd/regcred/internal/term"
)

// passedOn are the signals that a command is sent through this process.
func passedOn() []os.Signal {
	return []os.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGWINCH,
	}
}

// terminalSends reports whether the command has a signal already: a terminal
// sends its own to everything that runs there.
func (a *app) terminalSends(s os.Signal) bool {
	switch s {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH:
		return term.New(os.Stdin, a.getenv).IsTerminal()
	}
	return false
}

// signalCode is the exit code of a shell for a command that a signal ended.
func signalCode(state *os.ProcessState) (int, bool) {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return 0, false
	}
	return 128 + int(status.Signal()), true
}
