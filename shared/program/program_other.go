//go:build !linux

package program

import "os/exec"

// wait waits for a program to exit and then calls exited.
func wait(cmd *exec.Cmd, exited func()) error {
	err := cmd.Wait()
	exited()
	return err
}
