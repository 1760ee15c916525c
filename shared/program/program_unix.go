//go:build !windows

package program

import (
	"errors"
	"os"
	"syscall"
)

// plain are the characters besides letters and digits that mean nothing to a
// shell.
const plain = " \t/._-=:@,+%"

func systemShell() string { return "/bin/sh" }

func shellArgs(shell, line string) []string { return []string{shell, "-c", line} }

// isScript reports whether the system could not run a file because it does not
// say how.
func isScript(err error) bool { return errors.Is(err, syscall.ENOEXEC) }

// group is a process group, by the process that leads it.
type group int

func newGroup(leader *os.Process) group { return group(leader.Pid) }

func (g group) kill() { _ = syscall.Kill(-int(g), syscall.SIGKILL) }

func (g group) close() {}
