//go:build !linux && !windows

package program

import "syscall"

// attributes make a program the leader of a session, and so of a group: it has
// no terminal to ask somebody for a password at.
func attributes([]string) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
