//go:build !windows

package main

import (
	"os/exec"
	"syscall"
)

// inRoot has a program run in another root.
func inRoot(command *exec.Cmd, dir string) {
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
	command.Dir = "/"
}
